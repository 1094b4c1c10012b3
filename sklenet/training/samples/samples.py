"""The checked samples of a fit."""

import zlib
from dataclasses import dataclass

import numpy as np
import torch

from sklenet.images.canvas import Canvas
from sklenet.training.batches import ImageDataset, as_tensor
from sklenet.training.samples.labels import format_label


@dataclass
class Samples:
    """Checked images, labels and weights, and what they determine about the network.

    Attributes
    ----------
    X : ndarray of shape (n, features)
        Rows of pixels.
    y : ndarray of shape (n,)
        Index of each sample's class in `classes`.
    weights : ndarray of shape (n,), or None
        Sample weights times class weights, scaled so that the positive ones have the mean
        1. None if all are 1.
    classes : ndarray of shape (n_classes,)
        Sorted class labels.
    canvas : Canvas
        How the network sees images: their shape, their pixel range, and where they are
        placed. The pixel range is that of the training samples with a positive weight.
    class_weights : ndarray of shape (n_classes,), or None
    features : dict
        The fitted attributes ``n_features_in_`` and, if X has column names,
        ``feature_names_in_``.
    """

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    classes: np.ndarray
    canvas: Canvas
    class_weights: np.ndarray | None
    features: dict

    def to_dataset(
        self, device: torch.device, rows: np.ndarray | None = None
    ) -> ImageDataset:
        """Return a dataset on the device, of all samples with a weight or of some rows."""
        weights = None
        if self.weights is not None:
            weights = torch.as_tensor(self.weights, dtype=torch.float32).to(device)
            if rows is None and not self.weights.all():
                rows = np.flatnonzero(self.weights)
        return ImageDataset(
            as_tensor(self.X).to(device),
            self.canvas,
            torch.as_tensor(self.y).to(device),
            weights,
            None if rows is None else torch.as_tensor(rows).to(device),
        )

    def compute_fingerprint(self, *others: float) -> int:
        """Return a checksum of pixels, labels and other numbers.

        Of the weights it depends only on which ones are zero. Equal values have the same
        fingerprint, whatever the type of their array.
        """
        counted = np.ones(len(self.y), bool) if self.weights is None else self.weights > 0
        checksum = 0
        for array in (self.y.astype(np.int64), counted, np.array([*self.X.shape, *others])):
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        for start in range(0, len(self.X), 4096):
            rows = np.ascontiguousarray(self.X[start : start + 4096], dtype=np.float64)
            checksum = zlib.crc32(rows.data, checksum)
        return checksum

    def get_other_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the indices of the samples with a weight that are not among `rows`."""
        counted = slice(None) if self.weights is None else self.weights > 0
        return np.setdiff1d(np.arange(len(self.y))[counted], rows)

    def split(self, fraction: float, random_state) -> tuple[np.ndarray, np.ndarray]:
        """Split the samples with a weight at random, stratified by class.

        Parameters
        ----------
        fraction : float
            Fraction of each class that is held out; at least one sample is.
        random_state : RandomState

        Returns
        -------
        train, held_out : ndarray of int
            Indices of the samples.

        Raises
        ------
        ValueError
            If no sample of a class would be left to train on.
        """
        counted = self.y if self.weights is None else np.where(self.weights > 0, self.y, -1)
        present, counts = np.unique(counted[counted >= 0], return_counts=True)
        n_held_out = [max(1, round(fraction * count)) for count in counts]
        for k, count, n in zip(present, counts, n_held_out, strict=True):
            if n >= count:
                raise ValueError(
                    f"The 'validation_fraction' parameter is {fraction!r}, which leaves no"
                    f" sample of class {format_label(self.classes[k])} to train on, a class"
                    f" with {count} sample(s). Lower it, or pass X_val and y_val."
                )
        train, held_out = [], []
        for k, n in zip(present, n_held_out, strict=True):
            rows = random_state.permutation(np.flatnonzero(counted == k))
            held_out.append(rows[:n])
            train.append(rows[n:])
        return np.concatenate(train), np.concatenate(held_out)
