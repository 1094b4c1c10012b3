"""Checks of a run, or a dry run, of a study before anything is trained."""

import math
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer
from sklearn.utils.extmath import softmax

from sklenet.estimator import LeNet5Classifier
from sklenet.study.config.errors import BadKey, Key, StudyError
from sklenet.study.config.searches import HalvingSearch, OptunaSearch
from sklenet.study.config.spec import PRESENTATION_KEYS, Study
from sklenet.study.config.values import short_repr
from sklenet.study.engine.data import (
    check_subset_size,
    find_first_rows,
    load_data,
    load_training_data,
    make_sample,
    open_datasets,
)
from sklenet.study.engine.fit import make_validation_mask
from sklenet.study.engine.records import RECORDS, StudyJournal
from sklenet.study.engine.try_steps import try_steps


def prepare(
    study: Study,
    out: Path,
    *,
    part: Study | None = None,
    n_jobs: int | None = None,
    keep: bool = False,
) -> None:
    """Check everything about a run that can be known before training.

    Parameters
    ----------
    study, out, part, n_jobs, keep
        See `sklenet.study.run_study`.

    Raises
    ------
    StudyError
        If the study cannot be run on its datasets, the folder has the records of another
        study, or another process runs it.
    OSError
        If a dataset is missing or the folder cannot be written.
    """
    if n_jobs == 0:
        raise StudyError("n_jobs must be at least 1, or -1 for all cores. Got 0.")
    _check_installed(study)
    study = open_datasets(study)
    part = study if part is None else part.with_datasets(study.datasets)
    for name in part.data:
        _check_data(part, name)
    folder = Path(out) / study.name
    _check_folder(folder)
    check_unchanged(study, StudyJournal(folder / RECORDS), keep)
    if (folder / "run.lock").exists():
        with lock_folder(folder):
            pass


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a study's folder, so that only one process runs the study.

    Raises
    ------
    StudyError
        If another process holds the lock.
    """
    try:
        with FileLock(folder / "run.lock", timeout=0):
            yield
    except Timeout:
        raise StudyError(
            f"{folder}: another process is running this study. Wait until it has finished,"
            " or choose another folder with --out."
        ) from None


def check_unchanged(study: Study, journal: StudyJournal, keep: bool) -> list[dict]:
    """Return the records of a journal, after checking that they are of this study.

    Raises
    ------
    StudyError
        If they are of another study, unless `keep` is true.
    """
    records = list(journal)
    new = study.to_record()
    studies = [record["study"] for record in records if record["kind"] == "study"]
    if studies and not keep:
        old = studies[-1]
        changed = [
            f"{key}: {short_repr(old.get(key))} is now {short_repr(new[key])}"
            for key in new
            if key not in PRESENTATION_KEYS and old.get(key) != new[key]
        ]
        if changed:
            raise StudyError(
                f"{journal.path} has the records of another study:\n  "
                + "\n  ".join(changed)
                + "\nChoose a new folder with --out or --set name=NAME, or keep the fits"
                " that are also part of the changed study with --keep."
            )
    return records


def _check_installed(study: Study) -> None:
    """Raise a BadKey if the search needs a package that is not installed."""
    if not isinstance(study.search, OptunaSearch):
        return
    try:
        import optuna_integration.sklearn  # noqa: F401
    except ImportError:
        raise BadKey(
            ("search", "kind"),
            "'optuna' requires Optuna, which is not installed: pip install"
            " sklenet[optuna].",
        ) from None


def _check_folder(folder: Path) -> None:
    """Raise an OSError if the folder cannot be created or written."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(
            f"{nearest} is not a folder, so that no results can be written to it."
        )
    try:
        if folder.is_dir():
            with tempfile.TemporaryFile(dir=folder):
                pass
        else:
            os.rmdir(tempfile.mkdtemp(dir=nearest))
        if (folder / RECORDS).exists():
            with (folder / RECORDS).open("ab"):
                pass
    except OSError as error:
        raise PermissionError(
            f"{error.filename or nearest} cannot be written, so that there is no place for"
            f" results: {error.strerror or error}."
        ) from error


def _check_data(study: Study, name: str) -> None:
    """Raise a BadKey if the study cannot be run on this dataset."""
    dataset = study.get_dataset(name)
    X, y = load_data(dataset, "train")
    _, y_test = load_data(dataset, "test")
    for n_train in _list_sizes(study, name):
        labels = y
        if n_train is not None:
            check_subset_size(name, y, n_train)
            sample = make_sample(study, n_train, study.seeds[0])
            _, labels = load_training_data(dataset, sample)
        _check_folds(study, name, labels)
        if isinstance(study.validation, float):
            _check_validation(study, study.validation, name, labels)
    for labels in (y, y_test):
        _check_metrics(study, name, labels[find_first_rows(labels)])
    _check_class_weights(study, name, X, y)
    try_steps(study, name)


def _list_sizes(study: Study, name: str) -> list[int | None]:
    """Return the numbers of training images of the fits on a dataset."""
    if study.search:
        return [study.get_n_train()]
    sizes = (study.get_n_train(setting) for setting in study.list_settings(name))
    return list(dict.fromkeys(sizes))


def _check_folds(study: Study, name: str, y) -> None:
    search = study.search
    if search is None:
        return
    counts = np.unique(y, return_counts=True)[1]
    rarest = int(counts.min())
    if search.cv > rarest:
        raise BadKey(
            ("search", "cv"),
            f"must be between 2 and {rarest}, since each fold needs an image of every class"
            f" and {name} has only {rarest} training images of one. Got {search.cv}.",
        )
    if isinstance(search, HalvingSearch) and search.resource == "n_samples":
        smallest, largest = search.find_limits(len(y), len(counts))
        if not smallest <= largest <= len(y):
            raise BadKey(
                ("search",),
                f"rounds of {smallest} to {largest} images are not possible, since {name}"
                f" has {len(y)} training images. Change min_resources or max_resources.",
            )


def _check_validation(study: Study, fraction: float, name: str, y) -> None:
    try:
        held_out = make_validation_mask(y, fraction, study.validation_rows, study.seeds[0])
    except ValueError as error:
        message = f"{fraction!r} is not possible for {name}: {error}"
        raise BadKey(("validation",), message) from error
    n_held_out = int(held_out.sum())
    missing = np.setdiff1d(y, y[~held_out])
    found = f"{fraction!r} holds out {n_held_out:,} images of {name}"
    if n_held_out == 0:
        raise BadKey(("validation",), f"{found}. Increase it.")
    if len(missing):
        raise BadKey(
            ("validation",),
            f"{found}, which leaves no image of class {missing[0]} to train on. Decrease"
            " it.",
        )


class _RandomClassifier(ClassifierMixin, BaseEstimator):
    """A classifier with random predictions, and the methods that metrics may call."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        scores = np.random.RandomState(0).normal(size=(len(X), len(self.classes_)))
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X):
        scores = np.random.RandomState(0).normal(size=(len(X), len(self.classes_)))
        return softmax(scores)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def _check_metrics(study: Study, name: str, y) -> None:
    X = np.zeros((len(y), 1))
    classifier = _RandomClassifier().fit(X, y)
    for metric in study.metrics:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                score = float(get_scorer(metric)(classifier, X, y))
        except Exception as error:
            raise BadKey(
                ("metrics",),
                f"{metric!r} cannot be computed on {name}, which has"
                f" {len(classifier.classes_)} classes: {error}",
            ) from error
        if not math.isfinite(score):
            raise BadKey(
                ("metrics",),
                f"{metric!r} must be finite, but random predictions on {name} score"
                f" {score}.",
            )


def _check_class_weights(study: Study, name: str, X, y) -> None:
    rows = find_first_rows(y)
    for key, class_weight in _list_class_weights(study):
        classifier = LeNet5Classifier(
            class_weight=class_weight, max_epochs=1, random_state=0
        )
        try:
            classifier.fit(X[rows], y[rows])
        except ValueError as error:
            raise BadKey(key, f"not valid for {name}: {error}") from error


def _list_class_weights(study: Study) -> Iterator[tuple[Key, dict]]:
    """Yield every class weight by label once, with its key in the file."""
    grid = study.search.grid if study.search else {}
    given: list[tuple[Key, Any]] = [
        (("estimator",), study.estimator.get("class_weight")),
        *((("search", "grid"), value) for value in grid.get("class_weight", ())),
    ]
    for k, table in enumerate(study.setting_tables):
        key: Key = ("setting", str(k))
        given.append(((*key, "estimator"), table.estimator.get("class_weight")))
        given += [((*key, "grid"), one) for one in table.grid.get("class_weight", ())]
    seen = set()
    for key, class_weight in given:
        if isinstance(class_weight, dict) and repr(class_weight) not in seen:
            seen.add(repr(class_weight))
            yield (*key, "class_weight"), class_weight
