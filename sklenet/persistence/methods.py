"""Methods of LeNet5Classifier that save, load and export it."""

import os

from sklearn.utils.validation import check_is_fitted

from sklenet.training.runtime import library_state

# The modules that do the work are imported when they are needed, because importing
# pydantic takes a while.


class PersistenceMixin:
    """Save, load and export a fitted LeNet5Classifier."""

    @library_state()
    def save(self, path: str | os.PathLike) -> None:
        """Save the fitted estimator to a file that contains nothing executable.

        The file contains the weights in the safetensors format, parameters and fitted
        attributes as JSON, and a checksum; :mod:`sklenet.persistence.format` documents the
        format. The estimator that `load` returns gives bitwise identical predictions, and
        its training continues in the same way.

        Parameters
        ----------
        path : str or path-like
            Path of the file. An existing file is replaced once the new one is complete. If
            the path is a symbolic link, the file it points to is replaced.

        Raises
        ------
        ValueError
            If the estimator cannot be saved exactly, because a parameter is not a plain
            value, such as a callable, or labels are neither text nor numbers. Use skops or
            pickle instead.
        NotFittedError
            If the estimator is not fitted.
        OSError
            If `path` is not a regular file (but a directory, a device or a named pipe), is
            read-only, or cannot be written for another reason.
        """
        from sklenet.persistence import model_file

        model_file.save(self, path)

    @classmethod
    @library_state()
    def load(cls, path: str | os.PathLike):
        """Load an estimator from a file written by `save`.

        Nothing in the file is executed, so that files of unknown origin can be loaded.

        Parameters
        ----------
        path : str or path-like
            Path of the file.

        Returns
        -------
        estimator : LeNet5Classifier
            Fitted estimator, on the device of its `device` parameter, or on the CPU if
            that is not available.

        Raises
        ------
        ValueError
            If the file was not written by `save`, is damaged, or has a format of a later
            version.
        OSError
            If the file does not exist or cannot be read.
        """
        from sklenet.persistence import model_file

        return model_file.load(path, cls)

    @library_state()
    def to_html(self, path: str | os.PathLike | None = None, *, examples=None, labels=None):
        """Write the network as an HTML page on which a digit can be drawn.

        The page shows every layer while one draws, and the probabilities, which agree with
        `predict_proba`. It is one file that needs no network connection; see
        :func:`sklenet.page.write_page` for several estimators on one page.

        Parameters
        ----------
        path : str or path-like, default=None
            Path of the HTML file. If None, nothing is written, and the page is returned.
        examples : array-like of shape (n, features), (n, h, w) or (n, c, h, w), \
                default=None
            A few images to choose from on the page. If None, digits that scikit-learn
            ships, for estimators that read digits.
        labels : sequence of length n, default=None
            Labels of the examples, shown to the reader.

        Returns
        -------
        page : Page or None
            If `path` is None, the page. As the last value of a cell, it is shown in the
            notebook.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a layer has no name, so that a browser cannot compute it, or `labels` is not
            as long as `examples`.
        OSError
            If `path` is not a regular file or cannot be written.
        """
        from sklenet.page import write_page

        check_is_fitted(self)
        return write_page({"LeNet-5": self}, path, examples=examples, labels=labels)

    @library_state()
    def to_torch(self):
        """Return a copy of the network as a torch module on the CPU.

        Its input are rows of pixels, a tensor of shape (n, n_features) and of any numeric
        type, on the scale of the training data. Its output are class probabilities of
        shape (n, n_classes), in the order of ``classes_``, averaged over the views of the
        parameter `views`. The attribute ``network`` is the `LeNet5` alone, which maps
        images on the canvas, of shape (n, channels, height, width), to output units.

        Returns
        -------
        module : torch.nn.Module
            Training it does not change the estimator.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        from sklenet.persistence import export

        check_is_fitted(self)
        return export.to_torch(self)

    @library_state()
    def to_onnx(self, path: str | os.PathLike, *, dtype: str = "uint8") -> None:
        """Write the network to an ONNX file, from pixels to class probabilities.

        The model has one input, ``pixels`` of shape (n, n_features), and one output,
        ``probabilities`` of shape (n, n_classes), in the order of ``classes_``; n is
        variable. They are averaged over the views of the parameter `views`, for each of
        which the file computes the network once. This requires the packages onnx and
        onnxscript: ``pip install sklenet[onnx]``.

        Parameters
        ----------
        path : str or path-like
            Path of the file.
        dtype : {"uint8", "float32", "float64"}, default="uint8"
            Data type of the pixels, which are on the scale of the training data.

        Raises
        ------
        ImportError
            If onnx or onnxscript is not installed.
        ValueError
            If `dtype` is not one of these.
        NotFittedError
            If the estimator is not fitted.
        OSError
            If `path` is not a regular file or cannot be written.
        """
        from sklenet.persistence import export

        check_is_fitted(self)
        export.to_onnx(self, path, dtype)
