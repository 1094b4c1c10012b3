"""A study's search by Optuna: candidates that do badly are given up after a few epochs."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.stats
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring

from sklenet.study.fit import JournalledFit, load_data
from sklenet.study.pipelines import PREFIX, qualified, short
from sklenet.study.records import StudyJournal
from sklenet.study.spec import Search
from sklenet.study.train import plain


class FitByEpochs(JournalledFit):
    """A pipeline that is trained for one epoch per call of `partial_fit`.

    Like its parent it is fitted on the numbers of rows. What is journalled is the trial,
    with all of its folds, when Optuna ends it. One that fails has no score from then on.
    """

    def partial_fit(self, rows, y, classes=None):
        """Train for one epoch on the rows, the same ones in every call."""
        if not hasattr(self, "fitted_"):
            self.fitted_, self.failed_ = clone(self.pipeline), False
        if self.failed_:
            return self
        with self._noted():
            if not hasattr(self, "X_"):
                X, labels = load_data(self.data, "train")
                rows = np.asarray(rows).ravel()
                steps = self.fitted_[:-1]
                self.y_ = labels[rows]
                self.X_ = steps.fit_transform(X[rows], self.y_) if len(steps) else X[rows]
            self.fitted_[-1].partial_fit(self.X_, self.y_, classes=classes)
        return self

    def score(self, rows, y):
        """Return the first metric on the rows."""
        if not self.failed_:
            with self._noted():
                X, labels = load_data(self.data, "train")
                rows = np.asarray(rows).ravel()
                scoring = check_scoring(self.fitted_, scoring=self.evaluation.metrics[0])
                return scoring(self.fitted_, X[rows], labels[rows])
        return math.nan

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Warn of an exception in the block, as scikit-learn's searches do."""
        try:
            yield
        except Exception as error:
            self.failed_ = True
            text = f"{type(error).__name__}: {error}"
            warnings.warn(text, FitFailedWarning, stacklevel=3)


def search_by_trials(
    spec: Search, candidate: FitByEpochs, folds, rows, y, seed: int, of: str, n_jobs
) -> dict:
    """Let Optuna try `n_iter` candidates; return them in the form of ``cv_results_``.

    Every trial that has ended is in the journal. A run that goes on tells Optuna of these
    first, and does the rest; a trial that was cut short counts for nothing. Processes
    share what they know by a file beside the journal, a run's own.

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
        A candidate that was given up before its last epoch is "pruned", and ranks behind
        those that were not.
    """
    assert spec.n_iter is not None
    about = {
        "of": of,
        "data": candidate.data,
        "run": candidate.run,
        "n_train": max(len(train) for train, _ in folds.split(rows, y)),
    }
    done = _trials(candidate.journal, about, spec)
    if len(done) < spec.n_iter:
        # Absolute, since Optuna's lock is a link to it.
        folder = Path(candidate.journal).absolute().parent
        for left in folder.glob("optuna-*"):  # by a run that was killed
            left.unlink(missing_ok=True)
        shared = folder / f"optuna-{candidate.data}-{candidate.run}.log"
        _share(shared, done, spec)
        try:
            Parallel(n_jobs=n_jobs)(
                delayed(_try)(spec, candidate, folds, rows, y, seed, k, about, shared)
                for k in sorted(
                    set(range(spec.n_iter)) - {trial["number"] for trial in done}
                )
            )
        finally:
            shared.unlink(missing_ok=True)
        done = _trials(candidate.journal, about, spec)
    return _as_cv_results(done, candidate.pipeline[-1].max_epochs)


def _trials(journal, about: dict, spec: Search) -> list[dict]:
    """Return the search's trials that have ended, in the order of their numbers."""
    found = [
        record
        for record in StudyJournal(journal)
        if record["kind"] == "trial"
        and (record["of"], record["data"]) == (about["of"], about["data"])
        and record["number"] < (spec.n_iter or 0)
    ]
    return sorted(found, key=lambda trial: trial["number"])


def _share(file: Path, trials: list[dict], spec: Search) -> None:
    """Make the file by which processes share a search, with the trials that have ended."""
    from optuna import create_study
    from optuna.trial import TrialState, create_trial

    with _quiet():
        study = create_study(
            storage=_storage(file), study_name="search", direction="maximize"
        )
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


def _try(spec, candidate, folds, rows, y, seed, number, about, shared) -> None:
    """Let Optuna try one candidate, in whatever process, and journal it."""
    from optuna import load_study
    from optuna.samplers import TPESampler
    from optuna_integration.sklearn import OptunaSearchCV

    # Those who drew from the same seed would all try the same.
    (own,) = np.random.SeedSequence([seed, number]).generate_state(1).tolist()
    with _quiet() as caught:
        study = load_study(
            study_name="search",
            storage=_storage(shared),
            sampler=TPESampler(seed=own, constant_liar=True),
        )
        tried = []
        OptunaSearchCV(
            candidate,
            _distributions(spec),
            cv=folds,
            enable_pruning=True,
            max_iter=candidate.pipeline[-1].max_epochs,
            n_trials=1,
            refit=False,
            study=study,
            callbacks=[lambda study, trial: tried.append(trial)],
        ).fit(rows, y)
    key = f"{about['of']}-{about['data']}-{number}"
    record = {"key": key, "kind": "trial", "number": number} | about
    record |= _record(tried[0], spec.cv)
    errors = [w.message for w in caught if issubclass(w.category, FitFailedWarning)]
    if errors:
        record["error"] = str(errors[0])
    StudyJournal(candidate.journal).append(record)


def _storage(file: Path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(file)))


@contextmanager
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Keep Optuna from telling of every trial; give warnings instead of showing them."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield caught
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


def _as_cv_results(trials: list[dict], max_epochs: int) -> dict:
    """Return the trials in the form of ``cv_results_``."""
    scores = np.array([trial["scores"] for trial in trials], dtype=float)
    epochs = [len(trial["history"]) for trial in trials]
    state = [
        # Optuna prunes after the last epoch too.
        "complete" if trial["state"] == "pruned" and n == max_epochs else trial["state"]
        for trial, n in zip(trials, epochs, strict=True)
    ]
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
        "epochs": epochs,
        **{f"split{k}_test_score": column for k, column in enumerate(scores.T)},
        "mean_test_score": mean,
        "std_test_score": scores.std(axis=1),
        "rank_test_score": scipy.stats.rankdata(places, method="min").astype(np.int32),
    }
