"""scikit-learn transformers for images."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class Inverter(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """The negative of an image: `maximum` minus every pixel.

    Inverting twice gives the original back.

    Parameters
    ----------
    maximum : float, default=None
        What black becomes. None learns the largest value of X in `fit`.

    Attributes
    ----------
    maximum_ : number
        `maximum`, or the largest value of X in `fit`.
    n_features_in_ : int
        The number of columns of X.

    Examples
    --------
    >>> from sklenet.preprocessing import Inverter
    >>> Inverter(maximum=255).fit_transform([[0, 100, 255]])
    array([[255, 155,   0]])
    """

    _parameter_constraints: dict = {"maximum": [Real, None]}

    def __init__(self, *, maximum=None):
        self.maximum = maximum

    def fit(self, X, y=None):
        """Learn the maximum of X, of shape (n, features), where none was given.

        Raises
        ------
        ValueError
            If X exceeds the given maximum.
        """
        self._validate_params()
        X = validate_data(self, X)
        largest = X.max()
        if self.maximum is not None and largest > self.maximum:
            raise ValueError(
                f"The 'maximum' parameter of Inverter is {self.maximum!r}, but X has"
                f" values up to {largest!r}."
            )
        self.maximum_ = largest if self.maximum is None else self.maximum
        return self

    def transform(self, X):
        """Return the negative of X, of the same shape and type."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return np.subtract(self.maximum_, X, dtype=X.dtype, casting="unsafe")

    def inverse_transform(self, X):
        """Return the original of a negative X: the same as `transform`."""
        return self.transform(X)
