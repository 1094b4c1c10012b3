"""What a fitted LeNet5Classifier can do besides predicting."""

import os
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklenet.training.runtime import library_state


class FittedMixin:
    """Describe and keep a fitted estimator, and hand out its network."""

    classes_: np.ndarray
    history_: list[dict[str, float]]
    loss_curve_: list[float]
    _fit_params: dict[str, Any]

    @property
    def loss_(self):
        """Training loss of the last epoch, as in scikit-learn's MLPClassifier."""
        return self.history_[-1]["train_loss"]

    @property
    def best_loss_(self):
        """Lowest training loss of all epochs."""
        return min(self.loss_curve_)

    @property
    def validation_scores_(self):
        """Validation accuracy of each epoch, or None without validation data."""
        rows = [row for row in self.history_ if "valid_accuracy" in row]
        return [row["valid_accuracy"] for row in rows] or None

    @property
    def best_validation_score_(self):
        """Highest validation accuracy, or None without validation data.

        Early stopping restores the epoch of the lowest validation loss, ``best_epoch_``,
        which may be another one.
        """
        scores = self.validation_scores_
        return None if scores is None else max(scores)

    @property
    def n_outputs_(self):
        """Number of output units, one per class, also for two classes."""
        return len(self.classes_)

    @property
    def n_layers_(self):
        """Number of layers of the network, from the input to the output."""
        return 6 + len(self._fit_params["hidden"])

    @library_state()
    def save(self, path) -> None:
        """Save the fitted estimator to a file that contains nothing executable.

        The file has the weights in the safetensors format, parameters and fitted attributes
        as JSON, and a checksum; :mod:`sklenet.persistence.format` documents the
        format. The estimator that `load` returns gives bitwise identical
        predictions, and training continues from it as from this one.

        Parameters
        ----------
        path : str or path-like
            An existing file is replaced once the new one is complete. A symbolic link is
            kept, and the file it points to is replaced.

        Raises
        ------
        ValueError
            If something cannot be saved exactly: a parameter that is not a plain value,
            such as a callable, or labels other than text and numbers. Use skops or pickle.
        NotFittedError
            If the estimator is not fitted.
        OSError
            If `path` is not a regular file (but a directory, a device or a named pipe), is
            read-only, or cannot be written for another reason.
        """
        from sklenet.persistence import model_file  # and pydantic, which takes its time

        model_file.save(self, path)

    @classmethod
    @library_state()
    def load(cls, path):
        """Return the estimator that `save` wrote to `path`.

        Nothing in the file is executed, whoever wrote it.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        LeNet5Classifier
            On the device of its `device` parameter, or on the CPU where there is no such.

        Raises
        ------
        ValueError
            If it is another kind of file, damaged, or of a version yet to come.
        OSError
            If there is no such file.
        """
        from sklenet.persistence import model_file

        return model_file.load(path, cls)

    @library_state()
    def summary(self):
        """Return what the network is made of, a row per layer and one for all.

        Returns
        -------
        DataFrame
            Per layer of the paper's names: ``output_shape``; ``parameters``, trainable
            ones; ``connections``, counted as in the paper, biases among them; and
            ``multiply_adds`` for one image. Printed, it is a table.

        Examples
        --------
        >>> from sklenet import LeNet5Classifier
        >>> from sklenet.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> print(LeNet5Classifier(max_epochs=1).fit(X, y).summary())
                output_shape  parameters  connections  multiply_adds
        C1       (6, 28, 28)         156       122304         117600
        S2       (6, 14, 14)           0         4704              0
        C3      (16, 10, 10)        2416       241600         240000
        S4        (16, 5, 5)           0         1600              0
        C5            (120,)       48120        48120          48000
        F6             (84,)       10164        10164          10080
        output         (10,)         850          850            840
        all            (10,)       61706       429342         416520
        """
        from sklenet.network.summary import summarize_network

        check_is_fitted(self)
        network = self.to_torch()
        return summarize_network(network.network, network.canvas.shape)

    @library_state()
    def to_torch(self):
        """Return the network as a torch module of its own, on the CPU.

        It takes rows of pixels, (n, n_features), of any numeric type and in the range of
        the training data, and gives class probabilities, (n, n_classes), in the order of
        ``classes_``. Its attribute ``network`` is the bare `LeNet5`, which takes images on
        the canvas, (n, channels, height, width), and gives the output units' values.

        Returns
        -------
        torch.nn.Module
            A copy: training it leaves the estimator alone.
        """
        from sklenet.persistence import export

        check_is_fitted(self)
        return export.to_torch(self)

    @library_state()
    def to_onnx(self, path: str | os.PathLike, *, dtype: str = "uint8") -> None:
        """Write the network as ONNX, from pixels to class probabilities.

        The model has one input, ``pixels`` of shape (n, n_features), for any n, and one
        output, ``probabilities`` of shape (n, n_classes), in the order of ``classes_``. It
        needs the packages onnx and onnxscript: ``pip install sklenet[onnx]``.

        Parameters
        ----------
        path : str or path-like
        dtype : {"uint8", "float32", "float64"}, default="uint8"
            The type of the pixels, in the range of the training data.

        Raises
        ------
        ImportError
            If onnx or onnxscript is not installed.
        ValueError
            If `dtype` is another.
        OSError
            If `path` is not a regular file or cannot be written.
        """
        from sklenet.persistence import export

        check_is_fitted(self)
        export.to_onnx(self, path, dtype)
