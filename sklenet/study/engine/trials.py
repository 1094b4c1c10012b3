"""A search by Optuna, which stops bad candidates after a few epochs."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.stats
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring

from sklenet.study.config.pipelines import PREFIX, to_search_name, to_study_name
from sklenet.study.config.searches import OptunaSearch, to_choice
from sklenet.study.config.spec import Study
from sklenet.study.engine.data import (
    find_fingerprint,
    load_data,
    load_rows,
    make_sample,
)
from sklenet.study.engine.evaluate import to_jsonable
from sklenet.study.engine.fit import JournalledFit, make_folds
from sklenet.study.engine.plan import hash_trials
from sklenet.study.engine.records import StudyJournal


class FitByEpochs(JournalledFit):
    """A pipeline that is trained for one epoch by each call of `partial_fit`.

    Like its parent class, it is fitted on the numbers of rows. A trial is journalled with
    all its folds when it ends. After an error, the pipeline is not trained any further and
    its score is NaN.
    """

    def set_params(self, **params):
        """Set parameters, where those of the pipeline are choices of Optuna."""
        spec = self.study.search
        return super().set_params(
            **{
                name: spec.from_choice(to_study_name(name), value)
                if name.startswith(PREFIX)
                else value
                for name, value in params.items()
            }
        )

    def partial_fit(self, rows, y, classes=None):
        """Train for one epoch. Every call must pass the same rows."""
        if not hasattr(self, "fitted_"):
            self.fitted_, self.failed_ = clone(self.pipeline), False
        if self.failed_:
            return self
        with self._catch_errors():
            if not hasattr(self, "X_"):
                X, labels = load_data(self.dataset, "train")
                rows = np.asarray(rows).ravel()
                steps = self.fitted_[:-1]
                self.y_ = labels[rows]
                self.X_ = steps.fit_transform(X[rows], self.y_) if len(steps) else X[rows]
            self.fitted_[-1].partial_fit(self.X_, self.y_, classes=classes)
        return self

    def score(self, rows, y):
        """Return the first metric on the rows."""
        if not self.failed_:
            with self._catch_errors():
                X, labels = load_data(self.dataset, "train")
                rows = np.asarray(rows).ravel()
                scoring = check_scoring(self.fitted_, scoring=self.evaluation.metrics[0])
                return scoring(self.fitted_, X[rows], labels[rows])
        return math.nan

    @contextmanager
    def _catch_errors(self) -> Iterator[None]:
        """Warn about an exception in the block, as the searches of scikit-learn do."""
        try:
            yield
        except Exception as error:
            self.failed_ = True
            text = f"{type(error).__name__}: {error}"
            warnings.warn(text, FitFailedWarning, stacklevel=3)


def search_by_trials(
    study: Study, spec: OptunaSearch, candidate: FitByEpochs, n_jobs: int | None
) -> dict:
    """Try the candidates that Optuna proposes.

    Every finished trial is in the journal. When a run is continued, Optuna is told the
    finished trials, and the remaining ones are run; interrupted trials are repeated. The
    processes of a run share their trials through a file beside the journal.

    Parameters
    ----------
    study : Study
    spec : OptunaSearch
        The search of the study.
    candidate : FitByEpochs
    n_jobs : int or None
        Number of trials in parallel.

    Returns
    -------
    dict
        The trials in the form of ``cv_results_``, with the additional columns ``state``
        ("complete", "pruned" or "fail") and ``epochs``. A candidate that was stopped before
        its last epoch is "pruned", and ranks below all that were not.
    """
    trials = Trials(study, spec, candidate)
    finished = trials.read_finished()
    if len(finished) < spec.n_iter:
        numbers = set(range(spec.n_iter)) - {record["number"] for record in finished}
        with _share(trials, finished) as shared:
            Parallel(n_jobs=n_jobs)(
                delayed(trials.run)(number, shared) for number in sorted(numbers)
            )
        finished = trials.read_finished()
    return _to_cv_results(finished, candidate.pipeline[-1].max_epochs)


class Trials:
    """The trials of a search by Optuna, which any process can run.

    Parameters
    ----------
    study : Study
    spec : OptunaSearch
        The search of the study.
    candidate : FitByEpochs
    """

    def __init__(self, study: Study, spec: OptunaSearch, candidate: FitByEpochs) -> None:
        self.spec = spec
        self.candidate = candidate
        self.seed = study.seeds[0]
        self.folds = make_folds(study)
        self.data = candidate.dataset.name
        self.sample = make_sample(study, study.get_n_train(), self.seed)
        self.hash = hash_trials(study, self.data)

    def read_finished(self) -> list[dict]:
        """Return the records of the finished trials, in the order of their numbers."""
        found = [
            record
            for record in StudyJournal(self.candidate.journal)
            if record["kind"] == "trial"
            and (record["of"], record["data"]) == (self.hash, self.data)
            and record["number"] < self.spec.n_iter
        ]
        return sorted(found, key=lambda record: record["number"])

    def run(self, number: int, shared: Path) -> None:
        """Run a trial, and append its record to the journal.

        Parameters
        ----------
        number : int
            Number of the trial, which determines the seed of the sampler: samplers with the
            same seed would all propose the same candidate.
        shared : Path
            The file through which processes share their trials.
        """
        (seed,) = np.random.SeedSequence([self.seed, number]).generate_state(1).tolist()
        rows, y = load_rows(self.candidate.dataset, self.sample)
        with _quiet() as caught:
            trial = _propose_and_fit(self, shared, seed, rows, y)
        record = {
            "key": f"{self.hash}-{self.data}-{number}",
            "kind": "trial",
            "number": number,
            "of": self.hash,
            "data": self.data,
            "fingerprint": find_fingerprint(self.candidate.dataset),
            "run": self.candidate.run,
            "n_train": max(len(train) for train, _ in self.folds.split(rows, y)),
        } | _describe(trial, self.spec)
        errors = [w.message for w in caught if issubclass(w.category, FitFailedWarning)]
        if errors:
            record["error"] = str(errors[0])
        StudyJournal(self.candidate.journal).append(record)


def _propose_and_fit(trials: Trials, shared: Path, seed: int, rows, y):
    """Fit one candidate on all folds; return Optuna's trial."""
    from optuna import load_study
    from optuna.samplers import TPESampler
    from optuna_integration.sklearn import OptunaSearchCV

    sampler = TPESampler(seed=seed, constant_liar=True)
    study = load_study(study_name="search", storage=_make_storage(shared), sampler=sampler)
    ended: list = []  # other processes add trials to the study, so its last may be theirs
    OptunaSearchCV(
        trials.candidate,
        trials.spec.make_distributions(to_search_name),
        cv=trials.folds,
        enable_pruning=True,
        max_iter=trials.candidate.pipeline[-1].max_epochs,
        n_trials=1,
        refit=False,
        study=study,
        callbacks=[lambda study, trial: ended.append(trial)],
    ).fit(rows, y)
    return ended[0]


@contextmanager
def _share(trials: Trials, finished: list[dict]) -> Iterator[Path]:
    """Provide a file through which processes share trials, with the finished ones in it."""
    from optuna import create_study
    from optuna.trial import TrialState, create_trial

    candidate = trials.candidate
    # The path is absolute because the lock of Optuna is a symbolic link to it.
    folder = Path(candidate.journal).absolute().parent
    for left in folder.glob("optuna-*"):  # by a run that was killed
        left.unlink(missing_ok=True)
    shared = folder / f"optuna-{trials.data}-{candidate.run}.log"
    distributions = trials.spec.make_distributions(to_search_name)
    try:
        with _quiet():
            study = create_study(
                storage=_make_storage(shared), study_name="search", direction="maximize"
            )
            for record in finished:
                history = np.array(record["history"], dtype=float).tolist()  # None is NaN
                params = {
                    to_search_name(name): to_choice(value)
                    for name, value in record["params"].items()
                }
                study.add_trial(
                    create_trial(
                        state=TrialState[record["state"].upper()],
                        params=params,
                        distributions=distributions,
                        intermediate_values=dict(enumerate(history)),
                        value=None if record["state"] == "fail" else history[-1],
                    )
                )
        yield shared
    finally:
        shared.unlink(missing_ok=True)


def _make_storage(file: Path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(file)))


@contextmanager
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Suppress the log of Optuna, and collect warnings instead of showing them."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield caught
    finally:
        logging.set_verbosity(before)


def _describe(trial, spec: OptunaSearch) -> dict:
    """Return the part of a record that comes from Optuna's trial.

    A trial without a score on one of the folds has failed.
    """
    scores = [trial.user_attrs[f"split{k}_test_score"] for k in range(spec.cv)]
    params = {to_study_name(key): choice for key, choice in trial.params.items()}
    failed = not np.isfinite(scores).all()
    return to_jsonable(
        {
            "params": {name: spec.from_choice(name, params[name]) for name in params},
            "state": "fail" if failed else trial.state.name.lower(),
            "history": [score for _, score in sorted(trial.intermediate_values.items())],
            "scores": scores,
            "seconds": trial.duration.total_seconds(),
        }
    )


def _to_cv_results(trials: list[dict], max_epochs: int) -> dict:
    """Return the records of trials in the form of ``cv_results_``."""
    scores = np.array([trial["scores"] for trial in trials], dtype=float)
    epochs = [len(trial["history"]) for trial in trials]
    states = [
        # Optuna also prunes after the last epoch.
        "complete" if trial["state"] == "pruned" and n == max_epochs else trial["state"]
        for trial, n in zip(trials, epochs, strict=True)
    ]
    mean = scores.mean(axis=1)
    tiers = [("complete", "pruned", "fail").index(state) for state in states]
    _, places = np.unique([tiers, np.nan_to_num(-mean)], axis=1, return_inverse=True)
    return {
        "params": [trial["params"] for trial in trials],
        **{
            f"param_{name}": [trial["params"][name] for trial in trials]
            for name in trials[0]["params"]
        },
        "state": states,
        "epochs": epochs,
        **{f"split{k}_test_score": column for k, column in enumerate(scores.T)},
        "mean_test_score": mean,
        "std_test_score": scores.std(axis=1),
        "rank_test_score": scipy.stats.rankdata(places, method="min").astype(np.int32),
    }
