"""The records of a study as data frames, with means, intervals and paired differences."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError
from sklearn.pipeline import Pipeline

from sklenet.study.config.rules import BadKey, check_study
from sklenet.study.config.search_rules import check_search
from sklenet.study.config.spec import (
    ENDS,
    HISTORY,
    ORIGINALS,
    Study,
    StudyError,
    figure_names,
    from_plain,
)
from sklenet.study.config.values import short_repr
from sklenet.study.engine.plan import Job, identity, jobs, winner_of
from sklenet.study.engine.records import RECORDS, StudyJournal
from sklenet.study.report.statistics import describe, p_value

_COPIED = [
    *("data", "setting", "seed", "n_train", "n_valid", "n_test", "n_parameters"),
    *("best_epoch", "seconds", "cpu_seconds", "device", "threads", "error", "run"),
]


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
    """Results of a study, read from its journal.

    Parameters
    ----------
    folder : path-like
        Folder of the study, which contains ``records.jsonl``.

    Attributes
    ----------
    study : Study
        The study as it was last run.
    fits : DataFrame
        The evaluated fits, one per row; see :func:`load`.
    folds : DataFrame
        The fits of searches, one row per candidate and fold.
    summary : DataFrame
        Mean, standard deviation, number of seeds and 95 % interval of every metric, one
        row per data set, setting and metric.
    searches : dict of str to dict
        The ``cv_results`` of the search on each data set, and ``best``, the index of the
        best candidate.
    records, runs : list of dict
        All records of the journal, and those of its runs.

    Raises
    ------
    StudyError
        If there are no records of a study, or it is not a valid one.
    JournalError
        If a line is not a valid record, with the file and the line.
    """

    def __init__(self, folder) -> None:
        self.folder = Path(folder)
        path = self.folder / RECORDS
        self.records = list(StudyJournal(path))
        studies = [r["study"] for r in self.records if r["kind"] == "study"]
        if not studies:
            raise StudyError(f"{path}: no records of a study.")
        self.study: Study = _checked_study(path, studies[-1])
        self.runs = [r for r in self.records if r["kind"] == "run"]

    @cached_property
    def fit_records(self) -> list[dict]:
        """The records of the tested fits that the study asks for, in its order."""
        found = {r["key"]: r for r in self.records if r["kind"] == "fit"}
        return [
            # Two settings may be the same fit, known by the name of the first.
            found[key] | {"setting": job.setting, "seed": job.seed}
            for job in self.jobs
            if (key := job.key(self.study)) in found
        ]

    @cached_property
    def jobs(self) -> list[Job]:
        """The tested fits that the study asks for, as far as its searches have ended."""
        return [
            job
            for data in self.study.data
            for job in jobs(self.study, data, self.winner(data))
        ]

    @property
    def n_unasked(self) -> int:
        """How many tested fits the journal has that the study does not ask for."""
        asked = {job.key(self.study) for job in self.jobs}
        return sum(r["kind"] == "fit" and r["key"] not in asked for r in self.records)

    def winner(self, data: str) -> Pipeline | None:
        """Return the unfitted pipeline that won the search on a data set.

        Parameters
        ----------
        data : str
            Name of the data set.

        Returns
        -------
        Pipeline or None
            None if the study has no search, or the search is not complete.
        """
        best = self.searches[data]["best"] if data in self.searches else None
        if best is None:
            return None
        params = self.searches[data]["cv_results"]["params"][best]
        try:
            return winner_of(self.study, data, params)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StudyError(
                f"{self.folder / RECORDS}: the best candidate of the search on {data},"
                f" {short_repr(params)}, is not one of the study's: {error}"
            ) from error

    @cached_property
    def searches(self) -> dict[str, dict]:
        """Per data set, the search's ``best`` (an index) and ``cv_results``."""
        if self.study.search is None:
            return {}
        own = identity(self.study)
        found = [r for r in self.records if r["kind"] == "search" and r["of"] == own]
        return {record["data"]: record for record in found}

    def cv_results(self, data: str) -> dict[str, np.ndarray]:
        """Return the results of a search in the form of scikit-learn's ``cv_results_``.

        Parameters
        ----------
        data : str
            Name of the data set.

        Returns
        -------
        dict of str to ndarray
            The columns of ``cv_results_``, without the times.
        """
        plain = self.searches[data]["cv_results"]
        return {
            key: values if key == "params" else _array(values, _type(key))
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
                    row[f"{test}_{metric}"] = values.get(metric)
                    if "best_epoch" in values:
                        at_best = values["best_epoch"].get(metric)
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
        if score not in self.fits:
            return pd.DataFrame()
        for data, of_data in self.fits.groupby("data", sort=False):
            table = of_data.pivot(index="seed", columns="setting", values=score)
            names = list(dict.fromkeys(of_data["setting"]))
            for name in names[1:]:
                gaps = table[name].astype(float) - table[names[0]].astype(float)
                pairs = gaps.dropna().to_numpy()
                if len(pairs) > 1:
                    rows.append(
                        {"data": data, "setting": name, "minus": names[0]}
                        | describe(pairs)
                        | {"p": p_value(pairs)}
                    )
        return pd.DataFrame(rows)

    def tested(self, data: str) -> list[dict]:
        """Return the records of the first setting with a confusion matrix, per seed.

        Parameters
        ----------
        data : str
            Name of the data set.

        Returns
        -------
        list of dict
            Empty if no fit on the data set has been evaluated on the test set.
        """
        found = [r for r in self.fit_records if r["data"] == data and _confusion(r)]
        return [r for r in found if r["setting"] == found[0]["setting"]]

    def confusion(self, data: str, setting: str) -> np.ndarray:
        """Return the sum over seeds of the confusion matrices on the test set.

        Parameters
        ----------
        data : str
            Name of the data set.
        setting : str
            Name of the setting.

        Returns
        -------
        ndarray of shape (n_classes, n_classes)

        Raises
        ------
        KeyError
            If no fit of the setting was tested.
        """
        matrices = [
            np.array(_confusion(record))
            for record in self.fit_records
            if (record["data"], record["setting"]) == (data, setting) and _confusion(record)
        ]
        if not matrices:
            raise KeyError(f"no test of the setting {setting!r} on {data}")
        return np.sum(matrices, axis=0)

    def candidates(self, data: str) -> pd.DataFrame:
        """Return the candidates of a search, best first.

        Parameters
        ----------
        data : str
            Name of the data set.

        Returns
        -------
        DataFrame
            One row per candidate. ``difference`` is the mean over the folds of its score
            minus the score of the best candidate (of the first setting in a search of kind
            "settings"); ``low`` and ``high`` are the ends of the 95 % interval, paired over
            the folds.
        """
        results = self.cv_results(data)
        splits = sorted(key for key in results if key.startswith("split"))
        folds = np.stack([results[key] for key in splits], axis=1)
        origin = 0 if "param_setting" in results else self.searches[data]["best"]
        rounds = results.get("iter", np.zeros(len(folds), dtype=int))
        rows = []
        for k, params in enumerate(results["params"]):
            row = {"rank": int(results["rank_test_score"][k])} | dict(params)
            if "iter" in results:
                row |= {"round": rounds[k] + 1, "n_resources": results["n_resources"][k]}
            if "state" in results:
                row |= {name: results[name][k] for name in ("state", "epochs")}
            row |= {"mean": folds[k].mean(), "sd": folds[k].std(ddof=1)}
            if origin is not None:
                # Rounds of a halving search have folds of their own.
                same = rounds[k] == rounds[origin] and row.get("state") != "pruned"
                gap = describe(folds[k] - folds[origin] if same else [])
                row |= {"difference": gap["mean"], "low": gap["low"], "high": gap["high"]}
            rows.append(row)
        frame = pd.DataFrame(rows, dtype=object).infer_objects()
        # pandas makes NaN of None: a parameter's value is kept as it is.
        for name in results["params"][0]:
            frame[name] = pd.Series([row[name] for row in rows], dtype=object)
        return frame.sort_values("rank", kind="stable", ignore_index=True)

    def alike(self, data: str) -> pd.DataFrame:
        """Return the candidates of a search that were trained for the same resources.

        These are the first round of a halving search, which has all candidates, and the
        completed trials of a search by Optuna.

        Parameters
        ----------
        data : str
            Name of the data set.

        Returns
        -------
        DataFrame
            Rows of :meth:`candidates`.
        """
        candidates = self.candidates(data)
        for column, value in (("round", 1), ("state", "complete")):
            if column in candidates:
                candidates = candidates[candidates[column] == value]
        return candidates

    def main_effects(self, data: str) -> pd.DataFrame:
        """Return the mean score of the candidates that share the value of a parameter.

        Parameters
        ----------
        data : str
            Name of the data set.

        Returns
        -------
        DataFrame
            One row per parameter and value: mean, standard deviation, number of candidates
            and 95 % interval, over the candidates of :meth:`alike`.
        """
        candidates, rows = self.alike(data), []
        for name, values in self.grid.items():
            for value in [] if isinstance(values, Mapping) else values:
                same = [given == value for given in candidates[name]]
                means = candidates["mean"][same].dropna().to_numpy(dtype=float)
                if len(means):
                    row = {"parameter": name, "value": str(value)}
                    rows.append(row | describe(means))
        return pd.DataFrame(rows, columns=["parameter", "value", *describe([])])

    @property
    def grid(self) -> Mapping:
        """The values, or the distribution, of each parameter searched."""
        return self.study.search.grid if self.study.search else {}


def _checked_study(path: Path, recorded: dict) -> Study:
    """Return the study of a record, which is checked like the file of a study.

    Raises
    ------
    StudyError
    """
    try:
        study = from_plain(recorded)
        check_study(study)
        check_search(study)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False, include_context=False)
        where = ".".join(map(str, first["loc"]))
        raise StudyError(f"{path}: the study in it: {where}: {first['msg']}.") from error
    except BadKey as error:
        raise StudyError(f"{path}: the study in it: {error}") from error
    return study


def _confusion(record: dict) -> list | None:
    """Return the confusion matrix on the test images as they are, if there is one."""
    return record.get("tests", {}).get(ORIGINALS, {}).get("confusion")


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


def _array(values: list, dtype) -> np.ndarray:
    array = np.empty(len(values), dtype=dtype)
    for k, value in enumerate(values):  # values may be lists
        array[k] = value
    return array


def _type(key: str):
    if key.startswith("param_") or key == "state":
        return object
    whole = key.startswith("rank") or key in ("iter", "n_resources", "epochs")
    return np.int32 if whole else float
