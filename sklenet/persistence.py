"""A fitted estimator in a file."""

import os
import tempfile
from pathlib import Path

import joblib


def save(estimator, path) -> None:
    """Write a fitted estimator to `path` with joblib, whole or not at all.

    Parameters
    ----------
    estimator : LeNet5Classifier or a Pipeline around it
    path : str or path-like
        A file that is there is replaced, once the new one is complete.
    """
    path = Path(path)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
        try:
            joblib.dump(estimator, part)
            part.flush()
            os.fsync(part.fileno())
            # As open() would have made it; temporary files are for their owner only.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(part.name, 0o666 & ~umask)
            os.replace(part.name, path)
        except BaseException:
            os.unlink(part.name)
            raise


def load(path):
    """Return the estimator that `save` wrote to `path`.

    The file is a pickle: load only files that you trust.
    """
    return joblib.load(path)
