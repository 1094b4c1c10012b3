"""Images of either polarity as bright foreground on a dark background."""

import numpy as np
from sklearn.utils._param_validation import StrOptions

from sklenet.preprocessing.base import MaximumTransformer


class DarkBackground(MaximumTransformer):
    """Replace every image with a bright background by its negative.

    An image and its negative give the same result, exactly for integers, so that the next
    steps of a pipeline cannot tell them apart. The exception is an image whose background
    is exactly half of `maximum`: it and its negative are both left unchanged.

    Parameters
    ----------
    background : {"border", "all"}, default="border"
        Pixels whose mean over all channels is compared with half of `maximum`: the
        outermost ring of pixels, or all pixels.
    maximum : float, default=None
        Value of white. If None, it is the largest value of X in `fit`; otherwise nothing
        is learnt, and `fit` is not needed. The data type of X must be able to hold it and
        the negatives: unsigned integers in X must not exceed it. For booleans it is 1.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        Shape of one image if X is flat. If None, it is inferred.

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
    >>> from sklenet.preprocessing import DarkBackground
    >>> import numpy as np
    >>> digit = np.array([[0, 0, 0], [0, 200, 0], [0, 0, 0]], dtype=np.uint8)
    >>> same = DarkBackground(maximum=255).transform([digit, 255 - digit])
    >>> same[:, 1].tolist()
    [[0, 200, 0], [0, 200, 0]]
    """

    _parameter_constraints: dict = {
        **MaximumTransformer._parameter_constraints,
        "background": [StrOptions({"border", "all"})],
        "image_shape": ["array-like", None],
    }

    def __init__(self, *, background="border", maximum=None, image_shape=None):
        self.background = background
        self.maximum = maximum
        self.image_shape = image_shape

    def _transform(self, rows, shape):
        maximum = self._get_maximum(rows)
        is_bright = self._has_bright_background(rows, shape, maximum)
        result = rows.copy()
        if is_bright.any():
            result[is_bright] = self._invert(rows[is_bright], maximum)
        return result

    def _has_bright_background(self, rows, shape, maximum):
        """Return for each row whether the mean of its background exceeds half of white."""
        is_background = np.ones(shape, dtype=bool)
        if self.background == "border":
            is_background[:, 1:-1, 1:-1] = False
        # Rows can be shorter than the square image that their shape was inferred as.
        pixels = rows[:, is_background.ravel()[: rows.shape[1]]]
        # Sums of integers are exact up to 2**53: an image and its negative are never both
        # bright.
        return 2 * pixels.sum(axis=1, dtype=np.float64) > maximum * pixels.shape[1]
