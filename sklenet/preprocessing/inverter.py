"""Negatives of images."""

from sklenet.preprocessing.base import MaximumTransformer


class Inverter(MaximumTransformer):
    """Replace every image by its negative: `maximum` minus every pixel.

    Inverting an image twice restores it, exactly for integers.

    Parameters
    ----------
    maximum : float, default=None
        Value of white, which black becomes. If None, it is the largest value of X in
        `fit`; otherwise nothing is learnt, and `fit` is not needed. The data type of X must
        be able to hold it and the negatives: unsigned integers in X must not exceed it. For
        booleans it is 1.

    Attributes
    ----------
    maximum_ : number
        The `maximum` parameter, or the largest value of X in `fit` if it is None.
    image_shape_ : tuple of int (c, h, w)
        Shape of one image in `fit`.
    n_features_in_ : int
        Number of pixel values of one image.

    Examples
    --------
    >>> from sklenet.preprocessing import Inverter
    >>> Inverter(maximum=255).fit_transform([[0, 100, 255]])
    array([[255, 155,   0]])
    """

    def __init__(self, *, maximum=None):
        self.maximum = maximum

    def inverse_transform(self, X):
        """Restore images from their negatives, which is the same as `transform`.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, h, w) or (n, c, h, w)
            Negatives of images.

        Returns
        -------
        ndarray
            Original images, with the shape and the data type of X.
        """
        return self.transform(X)

    def _transform(self, rows, shape):
        return self._invert(rows, self._get_maximum(rows))
