"""Polarity: the same image, whether it came as a positive or as a negative."""

from numbers import Real

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from sklenet.preprocessing.base import ImageTransformer
from sklenet.preprocessing.inverter import Inverter, find_maximum, known_maximum


class DarkBackground(OneToOneFeatureMixin, ImageTransformer):
    """Turn every image whose background is bright into its negative.

    An image and its negative come out the same, exactly for integers, so that what
    follows in a pipeline cannot tell them apart. Only an image whose background is just
    half of `maximum` stays as it is, either way.

    Parameters
    ----------
    background : {"border", "all"}, default="border"
        Which pixels' mean, over all channels, is compared with half of `maximum`: those
        of the outermost ring, or all.
    maximum : float, default=None
        The brightest value there can be. None learns the largest value of X in `fit`;
        with a number nothing is learnt, and `fit` is not needed.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        The shape of one image where X is flat; None finds it.

    Attributes
    ----------
    maximum_ : number
        `maximum`, or the largest value of X in `fit`.
    n_features_in_ : int
        The number of pixels of one image.

    Examples
    --------
    >>> from sklenet.preprocessing import DarkBackground
    >>> import numpy as np
    >>> digit = np.array([[0, 0, 0], [0, 200, 0], [0, 0, 0]], dtype=np.uint8)
    >>> same = DarkBackground(maximum=255).transform([digit, 255 - digit])
    >>> same[:, 1].tolist()
    [[0, 200, 0], [0, 200, 0]]
    """

    _parameter_constraints: dict = {
        "background": [StrOptions({"border", "all"})],
        "maximum": [Real, None],
        "image_shape": ["array-like", None],
    }

    def __init__(self, *, background="border", maximum=None, image_shape=None):
        self.background = background
        self.maximum = maximum
        self.image_shape = image_shape

    def fit(self, X, y=None):
        """Learn the maximum of X where none was given.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
        y : None
            Ignored.

        Returns
        -------
        self : DarkBackground

        Raises
        ------
        ValueError
            If X exceeds the given maximum.
        """
        self._validate_params()
        rows, _, _ = self._read(X, reset=True)
        self.maximum_ = find_maximum(self, rows)
        return self

    def transform(self, X):
        """Return X with dark backgrounds.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray
            Of the shape and the type of X.

        Raises
        ------
        ValueError
            If X is of unsigned integers and exceeds the maximum.
        """
        if self.maximum is None:
            check_is_fitted(self)
        else:
            self._validate_params()
        rows, shape, n_axes = self._read(X, reset=False)
        maximum = known_maximum(self, rows)
        bright = self._bright(rows, shape, maximum)
        result = rows.copy()
        if bright.any():
            result[bright] = Inverter(maximum=maximum).transform(rows[bright])
        return self._give_back(result, shape, n_axes)

    def _bright(self, rows, shape, maximum):
        """Return which rows have a background above half the maximum."""
        ring = np.ones(shape, dtype=bool)
        if self.background == "border":
            ring[:, 1:-1, 1:-1] = False
        # Rows may be shorter than the square that they are read as.
        pixels = rows[:, ring.ravel()[: rows.shape[1]]]
        # Sums of integers are exact: an image and its negative never both count as bright.
        exact = np.int64 if pixels.dtype.kind in "biu" else np.float64
        return 2 * pixels.sum(axis=1, dtype=exact) > maximum * pixels.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.maximum is None
        return tags
