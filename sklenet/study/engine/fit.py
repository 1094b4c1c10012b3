"""One fit of a study, in any process. It is journalled as soon as it is finished."""

import hashlib
import inspect
import json
import math
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline

from sklenet.datasets.registry import DATASETS, ImageDataset
from sklenet.study.config.pipelines import PREFIX, make_candidate, to_study_name
from sklenet.study.config.spec import TEST_SET, Study
from sklenet.study.config.steps import make_steps
from sklenet.study.engine.data import (
    Sample,
    find_fingerprint,
    load_data,
    load_training_data,
    make_data_key,
    make_sample_key,
)
from sklenet.study.engine.evaluate import (
    Trained,
    compute_scores,
    encode_images,
    evaluate,
    record_errors,
    train,
)
from sklenet.study.engine.outputs import Outputs, save_outputs
from sklenet.study.engine.records import StudyJournal

# Parameters on which neither weights nor scores depend.
_WITHOUT_EFFECT = ("verbose",)


def make_folds(study: Study) -> StratifiedKFold:
    """Return the splitter of the folds of a study's search."""
    assert study.search is not None
    return StratifiedKFold(study.search.cv, shuffle=True, random_state=study.seeds[0])


class Evaluation(NamedTuple):
    """How the fits of a study are evaluated.

    Parameters
    ----------
    metrics : tuple of str
        Names of scikit-learn's scorers.
    tests : tuple of (str, tuple of dict)
        Name of each test, and its steps before the fitted pipeline.
    validation : float or "test", optional
        Fraction of the training images that are held out, or the test images.
    validation_rows : {"random", "first"}
        Whether the held-out images are a random sample or the first images.
    """

    metrics: tuple[str, ...]
    tests: tuple[tuple[str, tuple], ...] = ()
    validation: float | str | None = None
    validation_rows: str = "random"


class JournalledFit(ClassifierMixin, BaseEstimator):
    """A pipeline over which scikit-learn can search without repeating a finished fit.

    It is fitted on the numbers of rows instead of the images: every process reads the data
    set itself, so that a search sends no large arrays. If the journal already has a fit,
    its score is taken from there. A failed fit is recorded with its error, and its score is
    NaN.

    Parameters
    ----------
    pipeline : Pipeline
    dataset : ImageDataset
    evaluation : Evaluation
    journal : Path
    run : int
        Number of the run, for the records.
    study : Study, optional
        The study, by which `set_params` makes the pipelines of candidates.
    """

    def __init__(self, pipeline, dataset, evaluation, journal, run, study=None):
        self.pipeline = pipeline
        self.dataset = dataset
        self.evaluation = evaluation
        self.journal = journal
        self.run = run
        self.study = study

    def set_params(self, **params):
        """Set parameters, where those of the pipeline have their values in the study.

        A search thus has plain values only, also for the steps of the pipeline.
        """
        of_candidate = {n: value for n, value in params.items() if n.startswith(PREFIX)}
        if of_candidate:
            chosen = {to_study_name(n): value for n, value in of_candidate.items()}
            pipeline = make_candidate(self.study, chosen, self.dataset)
            params = {n: v for n, v in params.items() if n not in of_candidate}
            params["pipeline"] = clone_with_seed(pipeline, self.study.seeds[0])
        return super().set_params(**params)

    def fit(self, rows, y):
        """Train on the rows, unless the journal has this fit."""
        self.rows_ = np.asarray(rows).ravel()
        metrics = self.evaluation.metrics
        self.key_ = make_fit_key(
            self.pipeline, make_data_key(self.dataset), hash_rows(self.rows_), *metrics
        )
        self.record_ = StudyJournal(self.journal).find(self.key_)
        if self.record_ is None:
            X, labels = load_data(self.dataset, "train")
            self.trained_ = train(self.pipeline, X[self.rows_], labels[self.rows_])
        return self

    def score(self, rows, y):
        """Return the first metric on the rows, and journal all metrics."""
        if self.record_ is None:
            self.record_ = self._make_record(np.asarray(rows).ravel())
            StudyJournal(self.journal).append(self.record_)
        score = self.record_.get("scores", {}).get(self.evaluation.metrics[0])
        return math.nan if score is None else score

    def _make_record(self, rows) -> dict:
        X, labels = load_data(self.dataset, "train")
        record = {
            "key": self.key_,
            "kind": "fold",
            "run": self.run,
            "data": self.dataset.name,
            "fingerprint": find_fingerprint(self.dataset),
            "n_train": len(self.rows_),
        } | self.trained_.record
        fitted = self.trained_.pipeline
        if fitted is not None:
            with record_errors(record):
                metrics = self.evaluation.metrics
                record["scores"] = compute_scores(fitted, metrics, X[rows], labels[rows])
        return record


def fit_and_evaluate(
    dataset: ImageDataset,
    setting: str,
    pipeline: Pipeline,
    seed: int,
    sample: Sample | None,
    evaluation: Evaluation,
    journal,
    run: int,
    outputs: Outputs,
) -> None:
    """Train on the training set, evaluate on the test set, and journal the results.

    A fit that the journal already has is not repeated.

    Parameters
    ----------
    dataset : ImageDataset
    setting : str
        Name of the setting.
    pipeline : Pipeline
        Unfitted. Its ``random_state`` is replaced by `seed`.
    seed : int
    sample : Sample or None
        The training images that are used; None for all of them.
    evaluation : Evaluation
    journal : Path
    run : int
        Number of the run, for the records.
    outputs : Outputs
        Files to write besides the record.
    """
    pipeline = clone_with_seed(pipeline, seed)
    key = make_evaluation_key(pipeline, dataset, evaluation, sample)
    if StudyJournal(journal).find(key) is not None:
        return
    X, y, X_valid, y_valid = _split(dataset, sample, evaluation, seed)
    trained = train(pipeline, X, y, X_valid, y_valid)
    record = {
        "key": key,
        "kind": "fit",
        "run": run,
        "data": dataset.name,
        "fingerprint": find_fingerprint(dataset),
        "setting": setting,
        "seed": seed,
        "n_train": len(y),
        "n_valid": 0 if y_valid is None else len(y_valid),
    } | trained.record
    if evaluation.validation == "test":
        # The epoch with the best results on the test images must not be selected.
        record["best_epoch"] = None
    if trained.pipeline is not None:
        if record["best_epoch"] is None:
            trained = trained._replace(best=None)
        probabilities: list[np.ndarray] = []
        with record_errors(record):
            record |= _evaluate(trained, dataset, X, y, evaluation, probabilities)
        if "error" not in record:
            save_outputs(outputs, key, trained.pipeline, dataset.framing, probabilities)
    StudyJournal(journal).append(record)


def _split(
    dataset: ImageDataset, sample: Sample | None, evaluation: Evaluation, seed: int
) -> tuple:
    """Return the training images and labels, and those for validation or None."""
    X, y = load_training_data(dataset, sample)
    if evaluation.validation is None:
        return X, y, None, None
    if evaluation.validation == "test":
        return X, y, *load_data(dataset, "test")
    held_out = make_validation_mask(
        y, float(evaluation.validation), evaluation.validation_rows, seed
    )
    return X[~held_out], y[~held_out], X[held_out], y[held_out]


def _evaluate(
    trained: Trained,
    dataset: ImageDataset,
    X,
    y,
    evaluation: Evaluation,
    probabilities: list[np.ndarray],
) -> dict:
    """Return the number of test images, and the results of each test.

    The predicted probabilities of each test are appended to `probabilities`.
    """
    fitted, metrics = trained.pipeline, evaluation.metrics
    assert fitted is not None
    X_test, y_test = load_data(dataset, "test")
    tests = {}
    for name, steps in evaluation.tests:
        images = X_test
        if steps:
            # The images are the same for all fits, whatever their seed.
            transformers = clone_with_seed(Pipeline(make_steps(steps)), 0)
            images = transformers.fit(X, y).transform(X_test)
        probabilities.append(fitted.predict_proba(images))
        tests[name] = evaluate(fitted, metrics, images, y_test, probabilities[-1])
        if trained.best is not None:
            tests[name]["best_epoch"] = compute_scores(
                trained.best, metrics, images, y_test
            )
    if dataset.fingerprint and dataset.name not in DATASETS:
        # The report has no other source of the images.
        rows = [row for row, *_ in tests[TEST_SET]["mistakes"]]
        encoded = encode_images(X_test, rows)
        true = np.searchsorted(fitted.classes_, y_test[rows[: len(encoded)]])
        tests[TEST_SET]["images"] = list(zip(true.tolist(), encoded, strict=True))
    return {"n_test": len(y_test), "tests": tests}


def clone_with_seed(pipeline: Pipeline, seed: int) -> Pipeline:
    """Return a clone of the pipeline in which every ``random_state`` is `seed`."""
    pipeline = clone(pipeline)
    names = [n for n in pipeline.get_params() if n.split("__")[-1] == "random_state"]
    return pipeline.set_params(**dict.fromkeys(names, seed))


def make_validation_mask(y, fraction: float, which: str, seed: int) -> np.ndarray:
    """Return a mask of the training images that are held out for validation.

    Parameters
    ----------
    y : ndarray
        Labels of the training set.
    fraction : float
        Fraction of the images that are held out.
    which : {"random", "first"}
        Whether they are a stratified random sample or the first images.
    seed : int

    Raises
    ------
    ValueError
        If a random sample is too small or too large to have images of every class both in
        it and outside it.
    """
    n = len(y)
    held_out = np.zeros(n, dtype=bool)
    if which == "first":
        held_out[: round(n * fraction)] = True
    else:
        _, rows = train_test_split(
            np.arange(n), test_size=fraction, stratify=y, random_state=seed
        )
        held_out[rows] = True
    return held_out


def hash_rows(rows: np.ndarray) -> str:
    """Return a short text that identifies row numbers and their order."""
    return hashlib.sha256(np.asarray(rows, dtype=np.int64).tobytes()).hexdigest()[:16]


def make_fit_key(pipeline: Pipeline, data: str, *others: str) -> str:
    """Return the key of a fit: a hash of its pipeline, dataset and whatever else matters.

    Only parameters that differ from their defaults are hashed. The keys of existing records
    thus remain valid when a class gets an additional parameter.
    """
    steps = [[type(step).__name__, _get_changed_params(step)] for _, step in pipeline.steps]
    text = json.dumps([steps, data, *others], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _get_changed_params(step) -> dict:
    """Return the parameters with an effect that differ from their defaults."""
    signature = inspect.signature(type(step)).parameters
    return {
        name: value
        for name, value in step.get_params(deep=False).items()
        if name not in _WITHOUT_EFFECT
        and json.dumps(value, default=repr)
        != json.dumps(signature[name].default, default=repr)
    }


def make_evaluation_key(
    pipeline: Pipeline,
    dataset: ImageDataset,
    evaluation: Evaluation,
    sample: Sample | None = None,
) -> str:
    """Return the key of a fit on the training set and its evaluation on the test set."""
    others = ("test", json.dumps(evaluation), *make_sample_key(sample))
    return make_fit_key(pipeline, make_data_key(dataset), *others)
