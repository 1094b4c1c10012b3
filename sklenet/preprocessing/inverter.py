"""Negative images."""

from numbers import Real

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from sklenet.preprocessing.base import ImageTransformer


def find_maximum(transformer, rows: np.ndarray) -> float:
    """Return the parameter `maximum`, or where it is None the largest value of `rows`.

    Raises
    ------
    ValueError
        If `rows` exceed the parameter.
    """
    largest = rows.max().item()
    if transformer.maximum is None:
        return largest
    if largest > transformer.maximum:
        raise ValueError(
            f"The 'maximum' parameter of {type(transformer).__name__} is"
            f" {transformer.maximum!r}, but X has values up to {largest!r}."
        )
    return transformer.maximum


def known_maximum(transformer, rows: np.ndarray) -> float:
    """Return the maximum that was given or learnt.

    Raises
    ------
    ValueError
        If `rows` are unsigned integers and exceed it.
    """
    maximum = getattr(transformer, "maximum_", transformer.maximum)
    if rows.dtype.kind == "u" and rows.max() > maximum:
        raise ValueError(
            f"X has values up to {rows.max()!r}, above the maximum {maximum!r} of"
            f" {type(transformer).__name__}: unsigned integers cannot hold the negative."
        )
    return maximum


class Inverter(OneToOneFeatureMixin, ImageTransformer):
    """The negative of an image: `maximum` minus every pixel.

    Inverting twice gives the original back, exactly for integers.

    Parameters
    ----------
    maximum : float, default=None
        What black becomes. None learns the largest value of X in `fit`; with a number
        nothing is learnt, and `fit` is not needed.

    Attributes
    ----------
    maximum_ : number
        `maximum`, or the largest value of X in `fit`.
    n_features_in_ : int
        The number of pixels of one image.

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
        """Learn the maximum of X where none was given.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
        y : None
            Ignored.

        Returns
        -------
        self : Inverter

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
        """Return the negative of X.

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
            If X is of integers and exceeds the maximum: the negative might not be one of
            them.
        """
        if self.maximum is None:
            check_is_fitted(self)
        rows, shape, n_axes = self._read(X, reset=False)
        maximum = known_maximum(self, rows)
        negative = np.subtract(maximum, rows, dtype=rows.dtype, casting="unsafe")
        return self._give_back(negative, shape, n_axes)

    def inverse_transform(self, X):
        """Return the original of a negative X: the same as `transform`.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray
            Of the shape and the type of X.
        """
        return self.transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.maximum is None
        return tags
