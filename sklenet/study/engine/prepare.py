"""What a run of a study checks before it trains: the same for a run and for a dry run."""

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer
from sklearn.utils.extmath import softmax

from sklenet.estimator import LeNet5Classifier
from sklenet.study.config.rules import BadKey, Key, check_study
from sklenet.study.config.search_rules import check_installed, check_search
from sklenet.study.config.spec import PRESENTATION_KEYS, Study, StudyError
from sklenet.study.config.values import short_repr
from sklenet.study.engine.fit import load_data, make_validation_mask
from sklenet.study.engine.records import RECORDS, StudyJournal

# Images of each class with which metrics and class weights are tried.
_FEW = 20


def prepare(
    study: Study,
    out: Path,
    *,
    part: Study | None = None,
    n_jobs: int | None = None,
    keep: bool = False,
    is_checked: bool = False,
) -> None:
    """Check everything about a run that can be known before training.

    Parameters
    ----------
    study, out, part, n_jobs, keep
        As `sklenet.study.run_study` takes them.
    is_checked : bool, default=False
        Whether `study` comes from `read_study`, which checks all its values.

    Raises
    ------
    StudyError
        If the study cannot be run on its data sets, the folder has another study's
        records, or another process runs it.
    OSError
        If a data set is missing or the folder cannot be written.
    """
    if n_jobs == 0:
        raise StudyError("n_jobs is 0; right would be 1 or more, or -1 for all cores.")
    if not is_checked:
        check_study(study)
        check_search(study)
    check_installed(study)
    for name in (part or study).data:
        _check_data(part or study, name)
    folder = Path(out) / study.name
    _check_folder(folder)
    check_unchanged(study, StudyJournal(folder / RECORDS), keep)
    if (folder / "run.lock").exists():
        with lock_folder(folder):
            pass


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a study's folder, which only one process may run at a time.

    Raises
    ------
    StudyError
        If another process has it.
    """
    try:
        with FileLock(folder / "run.lock", timeout=0):
            yield
    except Timeout:
        raise StudyError(
            f"{folder}: another process is running this study. Wait for it, or give this"
            " one another --out."
        ) from None


def check_unchanged(study: Study, journal: StudyJournal, keep: bool) -> list[dict]:
    """Return the records of a journal, which must be this study's.

    Raises
    ------
    StudyError
        If they are another study's, unless `keep` is true.
    """
    records = list(journal)
    plain = study.to_record()
    studies = [record["study"] for record in records if record["kind"] == "study"]
    if studies and not keep:
        changed = [
            f"{key}: {short_repr(studies[-1].get(key))} is now {short_repr(plain[key])}"
            for key in plain
            if key not in PRESENTATION_KEYS and studies[-1].get(key) != plain[key]
        ]
        if changed:
            raise StudyError(
                f"{journal.path} has the records of another study:\n  "
                + "\n  ".join(changed)
                + "\nGive a new folder with --out, or keep the fits that the changed file"
                " still asks for with --keep."
            )
    return records


def _check_folder(folder: Path) -> None:
    """Raise an OSError if the folder cannot be made or written."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(f"{nearest} is not a folder: no results can go there.")
    if not os.access(nearest, os.W_OK):
        raise PermissionError(f"{nearest} cannot be written: no results can go there.")


def _check_data(study: Study, name: str) -> None:
    """Raise a StudyError if the study cannot be run on this data set."""
    X, y = load_data(name, "train")
    _, y_test = load_data(name, "test")
    counts = np.unique(y, return_counts=True)[1]
    if study.search:
        _check_folds(study, name, counts)
    if isinstance(study.validation, float):
        _check_validation(study, name, y)
    for labels in (y, y_test):
        _check_metrics(study, name, labels[_few_of_each(labels)])
    rows = _few_of_each(y)
    for key, class_weight in _class_weights(study):
        trial = LeNet5Classifier(class_weight=class_weight, max_epochs=1, random_state=0)
        try:
            trial.fit(X[rows], y[rows])
        except ValueError as error:
            raise BadKey(key, f"{'.'.join(key)}, on {name}: {error}") from error


def _few_of_each(y) -> np.ndarray:
    """Return the rows of the first images of each class."""
    return np.concatenate([np.flatnonzero(y == label)[:_FEW] for label in np.unique(y)])


def _check_folds(study: Study, name: str, counts) -> None:
    search = study.search
    assert search is not None
    n, rarest = int(counts.sum()), int(counts.min())
    if search.cv > rarest:
        raise BadKey(
            ("search", "cv"),
            f"search.cv is {search.cv}, but each fold needs an image of every class, and"
            f" {name} has {rarest} training images of one. Right would be 2 to {rarest}.",
        )
    if search.resource != "n_samples":
        return
    # scikit-learn's own smallest number, where none is given.
    smallest = search.min_resources or 2 * search.cv * len(counts)
    largest = search.max_resources or n
    if not smallest <= largest <= n:
        raise BadKey(
            ("search",),
            f"search: rounds of {smallest} to {largest} images are not possible: {name} has"
            f" {n}, and the default of min_resources is {2 * search.cv * len(counts)}.",
        )


def _check_validation(study: Study, name: str, y) -> None:
    fraction = study.validation
    assert isinstance(fraction, float)
    try:
        held_out = make_validation_mask(y, fraction, study.validation_rows, study.seeds[0])
    except ValueError as error:
        raise BadKey(
            ("validation",), f"validation is {fraction!r}, on {name}: {error}"
        ) from error
    n_held_out = int(held_out.sum())
    missing = np.setdiff1d(y, y[~held_out])
    found = f"validation is {fraction!r}: of {name} that is {n_held_out:,} images"
    if n_held_out == 0:
        raise BadKey(("validation",), f"{found}. Raise it.")
    if len(missing):
        left = f"which leaves none of class {missing[0]} to train on"
        raise BadKey(("validation",), f"{found}, {left}. Lower it.")


class _Chance(ClassifierMixin, BaseEstimator):
    """A classifier by chance, with the methods of LeNet5Classifier that metrics use."""

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
    chance = _Chance().fit(X, y)
    for metric in study.metrics:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                score = float(get_scorer(metric)(chance, X, y))
        except Exception as error:
            raise BadKey(
                ("metrics",),
                f"metrics: {metric!r} does not fit {name}, which has"
                f" {len(chance.classes_)} classes: {error}",
            ) from error
        if not math.isfinite(score):
            raise BadKey(
                ("metrics",), f"metrics: {metric!r} is not defined on {name}: {score}."
            )


def _class_weights(study: Study) -> Iterator[tuple[Key, dict]]:
    """Give the different class weights by label, each with its key in the file."""
    grid: Mapping = study.search.grid if study.search else {}
    given: list[tuple[Key, Any]] = [
        (("estimator",), study.estimator.get("class_weight")),
        *((("search", "grid"), value) for value in grid.get("class_weight", ())),
    ]
    for k, setting in enumerate(study.setting):
        key: Key = ("setting", str(k))
        given.append(((*key, "estimator"), setting.estimator.get("class_weight")))
        given += [((*key, "grid"), one) for one in setting.grid.get("class_weight", ())]
    seen = set()
    for key, class_weight in given:
        if isinstance(class_weight, dict) and repr(class_weight) not in seen:
            seen.add(repr(class_weight))
            yield (*key, "class_weight"), class_weight
