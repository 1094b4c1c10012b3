"""A study's search by Optuna: candidates that do badly are given up after a few epochs."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.stats
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring

from sklenet.study.fit import JournalledFit, load_data
from sklenet.study.journal import Journal
from sklenet.study.pipelines import PREFIX, qualified, short
from sklenet.study.spec import Search
from sklenet.study.train import plain


class FitByEpochs(JournalledFit):
    """A pipeline that is trained for one epoch per call of `partial_fit`.

    Like its parent it is fitted on the numbers of rows. What is journalled is the trial,
    with all of its folds, when Optuna ends it.
    """

    def partial_fit(self, rows, y, classes=None):
        """Train for one epoch on the rows, the same ones in every call."""
        try:
            if not hasattr(self, "X_"):
                X, labels = load_data(self.data, "train")
                rows = np.asarray(rows).ravel()
                self.fitted_ = clone(self.pipeline)
                steps = self.fitted_[:-1]
                self.y_ = labels[rows]
                self.X_ = steps.fit_transform(X[rows], self.y_) if len(steps) else X[rows]
            self.fitted_[-1].partial_fit(self.X_, self.y_, classes=classes)
        except Exception as error:  # which Optuna keeps to itself
            text = f"{type(error).__name__}: {error}"
            warnings.warn(text, FitFailedWarning, stacklevel=1)
            raise
        return self

    def score(self, rows, y):
        """Return the first metric on the rows."""
        X, labels = load_data(self.data, "train")
        rows = np.asarray(rows).ravel()
        scoring = check_scoring(self.fitted_, scoring=self.evaluation.metrics[0])
        return scoring(self.fitted_, X[rows], labels[rows])


def search_by_trials(
    spec: Search, candidate: FitByEpochs, folds, rows, y, seed: int, of: str, n_jobs
) -> dict:
    """Let Optuna try `n_iter` candidates; return them in the form of ``cv_results_``.

    Every trial that has ended is in the journal. A run that goes on tells Optuna of these
    first; a trial that was cut short counts for nothing. Processes share what they know by
    a file beside the journal, which is a run's own and is removed at its end. Those that
    are in the middle of a trial when there are enough finish it.

    Parameters
    ----------
    spec : Search
    candidate : FitByEpochs
    folds : cross-validation splitter
    rows : ndarray of shape (n, 1)
    y : ndarray of shape (n,)
    seed : int
    of : str
        What the trials of this search are known by in the journal.
    n_jobs : int or None

    Returns
    -------
    dict
        With the further columns ``state`` ("complete", "pruned" or "fail") and ``epochs``.
        A candidate that was pruned ranks behind those that were not.
    """
    assert spec.n_iter is not None
    about = {
        "of": of,
        "data": candidate.data,
        "run": candidate.run,
        "n_train": max(len(train) for train, _ in folds.split(rows, y)),
    }
    done = _trials(candidate.journal, about)
    missing = spec.n_iter - len(done)
    if missing > 0:
        name = f"optuna-{candidate.data}-{candidate.run}.log"
        shared = Path(candidate.journal).with_name(name)
        n_processes = min(effective_n_jobs(n_jobs), missing)
        # Processes that drew from the same seed would all try the same.
        seeds = np.random.SeedSequence([seed, len(done)]).generate_state(n_processes)
        try:
            _share(shared, done, spec)
            Parallel(n_jobs=n_jobs)(
                delayed(_take_trials)(spec, candidate, folds, rows, y, own, about, shared)
                for own in seeds.tolist()
            )
        finally:
            # With its lock, and those of runs that were killed.
            for file in shared.parent.glob("optuna-*"):
                file.unlink(missing_ok=True)
    return _as_cv_results(_trials(candidate.journal, about))


def _trials(journal, about: dict) -> list[dict]:
    """Return the search's trials that have ended."""
    return [
        record
        for record in Journal(journal)
        if record["kind"] == "trial"
        and (record["of"], record["data"]) == (about["of"], about["data"])
    ]


def _share(file: Path, trials: list[dict], spec: Search) -> None:
    """Make the file by which processes share a search, with the trials that have ended."""
    from optuna import create_study
    from optuna.trial import TrialState, create_trial

    with _quiet():
        study = create_study(storage=_storage(file), study_name="", direction="maximize")
        for trial in trials:
            history = np.array(trial["history"], dtype=float).tolist()  # None is NaN
            scored = trial["state"] != "fail"
            study.add_trial(
                create_trial(
                    state=TrialState[trial["state"].upper()],
                    params={_long(name): v for name, v in trial["params"].items()},
                    distributions=_distributions(spec),
                    intermediate_values=dict(enumerate(history)),
                    value=history[-1] if scored else None,
                )
            )


def _take_trials(spec, candidate, folds, rows, y, seed, about, shared) -> None:
    """Try candidates, in this process, until all processes together have tried enough."""
    from optuna import load_study
    from optuna.samplers import TPESampler
    from optuna_integration.sklearn import OptunaSearchCV

    def ended(study, trial):
        record = {"kind": "trial"} | about | _record(trial, spec.cv)
        Journal(candidate.journal).append(record)
        if len(_trials(candidate.journal, about)) >= spec.n_iter:
            study.stop()

    with _quiet():
        OptunaSearchCV(
            candidate,
            _distributions(spec),
            cv=folds,
            enable_pruning=True,
            max_iter=candidate.pipeline[-1].max_epochs,
            n_trials=None,
            refit=False,
            study=load_study(
                study_name="",
                storage=_storage(shared),
                sampler=TPESampler(seed=seed, constant_liar=True),
            ),
            callbacks=[ended],
        ).fit(rows, y)


def _storage(file: Path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(file)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from telling of every trial, and of what it deems experimental."""
    from optuna import exceptions, logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            warnings.filterwarnings("ignore", category=exceptions.ExperimentalWarning)
            # The mean and the spread over folds that all failed.
            warnings.filterwarnings("ignore", "Mean of empty|Degrees of", RuntimeWarning)
            yield
    finally:
        logging.set_verbosity(before)


def _distributions(spec: Search) -> dict:
    return {_long(name): _distribution(values) for name, values in spec.grid.items()}


def _distribution(values):
    """Return Optuna's distribution for a grid's list, or for a study's distribution."""
    from optuna import distributions

    if not isinstance(values, Mapping):
        return distributions.CategoricalDistribution(list(values))
    ((name, (low, high)),) = values.items()
    if name == "randint":
        return distributions.IntDistribution(low, high - 1)
    return distributions.FloatDistribution(low, high, log=name == "loguniform")


def _long(name: str) -> str:
    return PREFIX + qualified(name)


def _record(trial, n_folds: int) -> dict:
    """Return what is kept of a trial: one that has no score on some fold failed."""
    scores = [trial.user_attrs[f"split{k}_test_score"] for k in range(n_folds)]
    failed = not np.isfinite(scores).all()
    return plain(
        {
            "params": {short(key): value for key, value in trial.params.items()},
            "state": "fail" if failed else trial.state.name.lower(),
            "history": [score for _, score in sorted(trial.intermediate_values.items())],
            "scores": scores,
            "seconds": trial.duration.total_seconds(),
        }
    )


def _as_cv_results(trials: list[dict]) -> dict:
    """Return the trials in the form of ``cv_results_``."""
    scores = np.array([trial["scores"] for trial in trials], dtype=float)
    state = [trial["state"] for trial in trials]
    mean = scores.mean(axis=1)
    tiers = [("complete", "pruned", "fail").index(one) for one in state]
    _, places = np.unique([tiers, np.nan_to_num(-mean)], axis=1, return_inverse=True)
    return {
        "params": [trial["params"] for trial in trials],
        **{
            f"param_{name}": [trial["params"][name] for trial in trials]
            for name in trials[0]["params"]
        },
        "state": state,
        "epochs": [len(trial["history"]) for trial in trials],
        **{f"split{k}_test_score": column for k, column in enumerate(scores.T)},
        "mean_test_score": mean,
        "std_test_score": scores.std(axis=1),
        "rank_test_score": scipy.stats.rankdata(places, method="min").astype(np.int32),
    }
