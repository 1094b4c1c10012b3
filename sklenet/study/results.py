"""The records of a study as data frames, with means, intervals and paired differences."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.pipeline import Pipeline

from sklenet.study.journal import Journal
from sklenet.study.plan import jobs, winner_of
from sklenet.study.spec import ENDS, HISTORY, Study, StudyError, figure_names, from_plain

RECORDS = "records.jsonl"

_COPIED = (
    "data",
    "setting",
    "seed",
    "n_train",
    "n_valid",
    "n_test",
    "n_parameters",
    "best_epoch",
    "seconds",
    "cpu_seconds",
    "device",
    "threads",
    "error",
    "run",
)


def load(folder) -> pd.DataFrame:
    """Return the tested fits of the study in `folder`, one per row.

    Parameters
    ----------
    folder : path-like
        The study's own, with its ``records.jsonl``.

    Returns
    -------
    DataFrame
        With the columns ``data``, ``setting``, ``seed``, ``<test>_<metric>`` after the last
        epoch, ``<test>_<metric>_at_best_epoch`` at that of the lowest validation loss,
        ``train_accuracy``, ``valid_accuracy``, ``epochs``, ``seconds``, ``cpu_seconds``,
        ``n_parameters``, ``error`` and the parameters of the classifier.
    """
    return Results(folder).fits


class Results:
    """What a study's journal holds.

    Parameters
    ----------
    folder : path-like
        The study's own.

    Raises
    ------
    StudyError
        If there are no records.
    """

    def __init__(self, folder) -> None:
        self.folder = Path(folder)
        self.records = list(Journal(self.folder / RECORDS))
        studies = [r["study"] for r in self.records if r["kind"] == "study"]
        if not studies:
            raise StudyError(f"{self.folder / RECORDS}: no records of a study.")
        self.study: Study = from_plain(studies[-1])
        self.runs = [r for r in self.records if r["kind"] == "run"]

    @cached_property
    def fit_records(self) -> list[dict]:
        """The records of the tested fits that the study asks for, in its order."""
        found = {r["key"]: r for r in self.records if r["kind"] == "fit"}
        keys = [
            job.key(self.study)
            for data in self.study.data
            for job in jobs(self.study, data, self.winner(data))
        ]
        return [found[key] for key in keys if key in found]

    def winner(self, data: str) -> Pipeline | None:
        """Return the unfitted pipeline that won the search, if there is one."""
        best = self.searches[data]["best"] if data in self.searches else None
        if best is None:
            return None
        params = self.searches[data]["cv_results"]["params"][best]
        return winner_of(self.study, data, params)

    @cached_property
    def searches(self) -> dict[str, dict]:
        """Per data set, the last search's ``best`` (an index) and ``cv_results``."""
        return {r["data"]: r for r in self.records if r["kind"] == "search"}

    def cv_results(self, data: str) -> dict[str, np.ndarray]:
        """Return a search in the form of scikit-learn's ``cv_results_``, without times."""
        plain = self.searches[data]["cv_results"]
        return {
            key: values if key == "params" else np.array(values, dtype=_type(key))
            for key, values in plain.items()
        }

    @cached_property
    def folds(self) -> pd.DataFrame:
        """The fits of searches, one per row and fold, in no meaningful order."""
        rows = [
            {name: record.get(name) for name in _COPIED if name in record}
            | {f"valid_{name}": v for name, v in record.get("scores", {}).items()}
            | _epochs(record)
            | record["params"]
            for record in sorted(
                (r for r in self.records if r["kind"] == "fold"), key=lambda r: r["key"]
            )
        ]
        return pd.DataFrame(rows)

    @cached_property
    def fits(self) -> pd.DataFrame:
        """The tested fits, one per row; see `load`."""
        rows = []
        for record in self.fit_records:
            row = {name: record.get(name) for name in _COPIED}
            for test, values in record.get("tests", {}).items():
                for metric in self.study.metrics:
                    row[f"{test}_{metric}"] = values[metric]
                    if "best_epoch" in values:
                        at_best = values["best_epoch"][metric]
                        row[f"{test}_{metric}_at_best_epoch"] = at_best
            rows.append(row | _epochs(record) | record["params"])
        return pd.DataFrame(rows)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean, standard deviation, n and 95 % interval over seeds of all scores.

        One row per data set, setting, score and, where there is validation data, epoch.
        The interval is Student's, of the mean: seeds are a sample of all seeds.
        """
        rows = []
        scores = figure_names(self.study)
        if not len(self.fits):
            return pd.DataFrame()
        for (data, setting), group in self.fits.groupby(["data", "setting"], sort=False):
            for score in scores:
                if score in group and group[score].notna().any():
                    values = group[score].dropna().to_numpy(dtype=float)
                    rows.append(
                        {"data": data, "setting": setting, "score": score}
                        | describe(values)
                        | {"failed": len(group) - len(values)}
                    )
        return pd.DataFrame(rows)

    def compare(self, score: str) -> pd.DataFrame:
        """Return each setting's difference from the first one, paired over seeds.

        Parameters
        ----------
        score : str
            A column of the fits, such as ``test_accuracy``.

        Returns
        -------
        DataFrame
            With the mean of the differences, its 95 % interval, n, and the p value of the
            paired t test, one row per data set and further setting.
        """
        rows = []
        if not len(self.fits):
            return pd.DataFrame()
        for data, of_data in self.fits.groupby("data", sort=False):
            table = of_data.pivot(index="seed", columns="setting", values=score)
            names = list(dict.fromkeys(of_data["setting"]))
            for name in names[1:]:
                pairs = (table[name] - table[names[0]]).dropna().to_numpy(dtype=float)
                if len(pairs) > 1:
                    rows.append(
                        {"data": data, "setting": name, "minus": names[0]}
                        | describe(pairs)
                        | {"p": _p_value(pairs)}
                    )
        return pd.DataFrame(rows)

    def candidates(self, data: str) -> pd.DataFrame:
        """Return the candidates of a search, best first.

        ``difference`` is the mean over folds of a candidate's score less the best one's,
        with its 95 % interval ``low`` to ``high``, paired over the folds.
        """
        results = self.cv_results(data)
        splits = sorted(key for key in results if key.startswith("split"))
        folds = np.stack([results[key] for key in splits], axis=1)
        best = self.searches[data]["best"]
        rows = []
        for k, params in enumerate(results["params"]):
            row = {"rank": int(results["rank_test_score"][k])} | dict(params)
            row |= {"mean": folds[k].mean(), "sd": folds[k].std(ddof=1)}
            if best is not None:
                pairs = describe(folds[k] - folds[best])
                row |= {"difference": pairs["mean"], "low": pairs["low"]}
                row["high"] = pairs["high"]
            rows.append(row)
        return pd.DataFrame(rows).sort_values("rank", kind="stable", ignore_index=True)

    def main_effects(self, data: str) -> pd.DataFrame:
        """Return the mean score of all candidates that share a parameter's value."""
        candidates = self.candidates(data)
        rows = []
        for name, values in self.grid.items():
            if not isinstance(values, Mapping):
                shared = candidates[name].map(str)
                for value in map(str, values):
                    means = candidates.loc[shared == value, "mean"].dropna()
                    row = {"parameter": name, "value": value}
                    rows += [row | describe(means)] if len(means) else []
        return pd.DataFrame(rows, columns=["parameter", "value", *describe([])])

    @property
    def grid(self) -> Mapping:
        """The values, or the distribution, of each parameter searched."""
        return self.study.search.grid if self.study.search else {}


def describe(values) -> dict[str, Any]:
    """Return mean, sd, n, and the ends of Student's 95 % interval of the mean."""
    values = np.asarray(values, dtype=float)
    n = len(values)
    mean = values.mean() if n else np.nan
    sd = values.std(ddof=1) if n > 1 else np.nan
    half = stats.t.ppf(0.975, n - 1) * sd / np.sqrt(n) if n > 1 else np.nan
    return {"mean": mean, "sd": sd, "n": n, "low": mean - half, "high": mean + half}


def _p_value(differences) -> float:
    if not differences.std():  # all the same: the test is not defined
        return 1.0 if not differences[0] else 0.0
    return float(stats.ttest_1samp(differences, 0).pvalue)


def _epochs(record) -> dict:
    """Return the number of epochs, and the history's figures at the last and the best."""
    history = record.get("history")
    if not history:
        return {}
    row = {"epochs": len(history)}
    row |= {name: history[-1][name] for name in HISTORY if name in history[-1]}
    best = record.get("best_epoch")
    if best:
        at_best = history[best - 1]
        row |= {f"{name}{ENDS[1]}": at_best[name] for name in HISTORY if name in at_best}
    return row


def _type(key: str):
    if key.startswith("param_"):
        return object
    return np.int32 if key.startswith("rank") or key in ("iter", "n_resources") else float
