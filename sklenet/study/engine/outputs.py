"""Files that a fit writes into the folder of its study in addition to its record.

These files are not needed to continue a study, and a study without them remains valid: they
are the model of the winner, and the probabilities of which a committee is made.
"""

import contextlib
import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline

from sklenet._utils.writing import write_file
from sklenet.estimator import LeNet5Classifier

MODEL = "winner_{}.sklenet"  # file name, given the name of the dataset
PROBABILITIES = "probabilities"  # folder


class Outputs(NamedTuple):
    """The files that a fit writes besides its record.

    Parameters
    ----------
    model : Path, optional
        File of the fitted classifier.
    probabilities : Path, optional
        Folder of the predicted probabilities.
    """

    model: Path | None = None
    probabilities: Path | None = None


def save_outputs(
    outputs: Outputs,
    key: str,
    fitted: Pipeline,
    framing: str,
    probabilities: Sequence[np.ndarray],
) -> None:
    """Write the files of a fit. If one cannot be written, the fit is not lost.

    Parameters
    ----------
    outputs : Outputs
    key : str
        Key of the record of the fit.
    fitted : Pipeline
    framing : {"digit", "whole"}
        How models of the dataset read image files.
    probabilities : sequence of ndarray of shape (n_samples, n_classes)
        Predicted probabilities in each test of the study.
    """
    if outputs.model is not None:
        with contextlib.suppress(OSError, ValueError):
            save_model(fitted, framing, outputs.model)
    if outputs.probabilities is not None and probabilities:
        content = io.BytesIO()
        arrays = np.stack(probabilities).astype(np.float32)
        classes = np.array(fitted.classes_.tolist())  # text, not objects
        np.savez_compressed(content, probabilities=arrays, classes=classes)
        with contextlib.suppress(OSError):
            outputs.probabilities.mkdir(exist_ok=True)
            write_file(outputs.probabilities / f"{key}.npz", content.getvalue())


def save_model(fitted: Pipeline, framing: str, path: Path) -> None:
    """Save the classifier of a fitted pipeline, which has no other step.

    Parameters
    ----------
    fitted : Pipeline
    framing : {"digit", "whole"}
        How the model reads image files, unless it has a framing.
    path : Path
    """
    classifier = fitted[-1]
    if classifier.framing is None:
        classifier.set_params(framing=framing)
    classifier.set_params(verbose=0).save(path)


def is_model_of(path: Path, pipeline: Pipeline) -> bool:
    """Return whether a file has a model with the parameters of an unfitted pipeline.

    Parameters
    ----------
    path : Path
        File of a model, which may not exist.
    pipeline : Pipeline
    """
    try:
        found = LeNet5Classifier.load(path).get_params()
    except (OSError, ValueError):
        return False
    expected = pipeline[-1].get_params()
    names = expected.keys() - {"framing", "verbose"}
    return all(_to_list(found[name]) == _to_list(expected[name]) for name in names)


def _to_list(value):
    """Return a value with lists instead of tuples."""
    if isinstance(value, dict):
        return {str(key): _to_list(item) for key, item in value.items()}
    return [_to_list(x) for x in value] if isinstance(value, list | tuple) else value


def load_probabilities(folder: Path, key: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Load the probabilities of a fit; None if there are none.

    Parameters
    ----------
    folder : Path
        Folder of the probabilities.
    key : str
        Key of the record of the fit.

    Returns
    -------
    probabilities : ndarray of shape (n_tests, n_samples, n_classes)
    classes : ndarray of shape (n_classes,)
    """
    try:
        with np.load(folder / f"{key}.npz", allow_pickle=False) as file:
            return file["probabilities"].astype(float), file["classes"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
