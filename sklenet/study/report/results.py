"""The results of a study: its records as data frames, summaries and comparisons."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError
from sklearn.pipeline import Pipeline

from sklenet.study.config.errors import BadKey, StudyError
from sklenet.study.config.explain import explain_errors
from sklenet.study.config.searches import Distribution
from sklenet.study.config.spec import (
    AT_BEST_EPOCH,
    HISTORY_METRICS,
    TEST_SET,
    Study,
)
from sklenet.study.config.values import format_label, short_repr
from sklenet.study.engine.committee import group_by_setting, make_committee_key
from sklenet.study.engine.data import read_described
from sklenet.study.engine.plan import Job, hash_search, make_winner, plan_jobs
from sklenet.study.engine.records import RECORDS, StudyJournal
from sklenet.study.report.metrics import (
    Range,
    compute_chance_level,
    get_difference_range,
    get_range,
)
from sklenet.study.report.statistics import adjust_p_values, compute_p_value, describe
from sklenet.study.report.variance import decompose_variance

_COPIED_FIELDS = [
    *("data", "setting", "seed", "n_train", "n_valid", "n_test", "n_parameters"),
    *("best_epoch", "seconds", "cpu_seconds", "device", "threads", "error", "run"),
]

# Fraction of the best candidate's gain over chance below which a candidate has collapsed.
_COLLAPSED = 0.1

# Searches that try all combinations of their grid.
_WITH_ALL_COMBINATIONS = ("grid", "halving")


def load(folder) -> pd.DataFrame:
    """Load the fits of a study that were evaluated on the test set.

    Parameters
    ----------
    folder : path-like
        Folder of the study, which contains ``records.jsonl``.

    Returns
    -------
    DataFrame
        One row per fit, with the columns ``data``, ``setting``, ``seed``,
        ``<test>_<metric>`` after the last epoch, ``<test>_<metric>_at_best_epoch`` at the
        epoch with the lowest validation loss, ``train_accuracy``, ``valid_accuracy``,
        ``epochs``, ``seconds``, ``cpu_seconds``, ``n_parameters``, ``error`` and the
        parameters of the classifier.
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
    folder : Path
        Folder of the study.
    study : Study
        The study as it was last run.
    fits : DataFrame
        Evaluated fits, one per row; see :func:`load`.
    committees : DataFrame
        Scores of the mean probabilities of all seeds, one row per dataset and setting.
    folds : DataFrame
        Fits of the searches, one row per candidate and fold.
    summary : DataFrame
        Mean, standard deviation, number of seeds and 95% confidence interval of each
        score, one row per dataset, setting and score.
    searches : dict of str to dict
        The ``cv_results`` of the search on each dataset, and ``best``, the index of the
        best candidate.
    records, runs : list of dict
        All records of the journal, and those of its runs.

    Raises
    ------
    StudyError
        If the journal contains no study, or one that is not valid.
    JournalError
        If a line of the journal is not a valid record.
    """

    def __init__(self, folder) -> None:
        self.folder = Path(folder)
        path = self.folder / RECORDS
        self.records = list(StudyJournal(path))
        studies = [r["study"] for r in self.records if r["kind"] == "study"]
        if not studies:
            raise StudyError(f"{path}: no records of a study.")
        self.study: Study = _validate_study(path, studies[-1], self.records)
        self.runs = [r for r in self.records if r["kind"] == "run"]
        self._variance_shares: dict[str, pd.DataFrame] = {}

    @cached_property
    def fit_records(self) -> list[dict]:
        """Records of the evaluated fits that the study requests, in its order."""
        found = {r["key"]: r for r in self.records if r["kind"] == "fit"}
        return [
            # Two settings may be the same fit, recorded under the name of the first.
            found[key] | {"setting": job.setting, "seed": job.seed}
            for job in self.jobs
            if (key := job.make_key(self.study)) in found
        ]

    @cached_property
    def jobs(self) -> list[Job]:
        """Evaluated fits that the study requests, for searches that have ended."""
        return [
            job
            for data in self.study.data
            for job in plan_jobs(self.study, data, self.winner(data))
        ]

    @property
    def n_not_requested(self) -> int:
        """Number of evaluated fits in the journal that the study does not request."""
        requested = {job.make_key(self.study) for job in self.jobs}
        return sum(r["kind"] == "fit" and r["key"] not in requested for r in self.records)

    def winner(self, data: str) -> Pipeline | None:
        """Return the unfitted pipeline of the best candidate of a search.

        Parameters
        ----------
        data : str
            Name of the dataset.

        Returns
        -------
        Pipeline or None
            None if there is no search on the dataset, or all its candidates failed.
        """
        best = self.searches[data]["best"] if data in self.searches else None
        if best is None:
            return None
        params = self.searches[data]["cv_results"]["params"][best]
        try:
            return make_winner(self.study, data, params)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StudyError(
                f"{self.folder / RECORDS}: the best candidate of the search on {data},"
                f" {short_repr(params)}, is not a candidate of the study: {error}"
            ) from error

    @cached_property
    def searches(self) -> dict[str, dict]:
        """Record of the search on each dataset: ``best`` (an index), ``cv_results``."""
        if self.study.search is None:
            return {}
        own = {data: hash_search(self.study, data) for data in self.study.data}
        return {
            record["data"]: record
            for record in self.records
            if record["kind"] == "search" and record["of"] == own.get(record["data"])
        }

    def cv_results(self, data: str) -> dict[str, np.ndarray]:
        """Return the results of a search in the form of scikit-learn's ``cv_results_``.

        Parameters
        ----------
        data : str
            Name of the dataset.

        Returns
        -------
        dict of str to ndarray
            The columns of ``cv_results_``, without the times.
        """
        plain = self.searches[data]["cv_results"]
        return {
            key: values if key == "params" else _to_array(values, _dtype_of(key))
            for key, values in plain.items()
        }

    @cached_property
    def folds(self) -> pd.DataFrame:
        """Fits of the searches, one row per candidate and fold, in arbitrary order."""
        rows = [
            {name: record.get(name) for name in _COPIED_FIELDS if name in record}
            | {f"valid_{name}": v for name, v in record.get("scores", {}).items()}
            | _summarize_history(record)
            | record["params"]
            for record in sorted(
                (r for r in self.records if r["kind"] == "fold"), key=lambda r: r["key"]
            )
        ]
        return pd.DataFrame(rows)

    @cached_property
    def fits(self) -> pd.DataFrame:
        """Evaluated fits, one per row; see `load`."""
        rows = []
        for record in self.fit_records:
            row = {name: record.get(name) for name in _COPIED_FIELDS}
            for test, values in record.get("tests", {}).items():
                for metric in self.study.metrics:
                    row[f"{test}_{metric}"] = values.get(metric)
                    if "best_epoch" in values:
                        at_best = values["best_epoch"].get(metric)
                        row[f"{test}_{metric}_at_best_epoch"] = at_best
            rows.append(row | _summarize_history(record) | record["params"])
        return pd.DataFrame(rows)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean, standard deviation, n and 95% confidence interval of each score.

        One row per dataset, setting and score, at the last epoch and, with validation
        data, at the best epoch. The confidence interval is Student's interval of the mean
        over the seeds, clipped to the range of the score.
        """
        rows = []
        scores = self.study.metric_names
        if not len(self.fits):
            return pd.DataFrame()
        for (data, setting), group in self.fits.groupby(["data", "setting"], sort=False):
            for score in scores:
                if score in group and group[score].notna().any():
                    values = group[score].dropna().to_numpy(dtype=float)
                    rows.append(
                        {"data": data, "setting": setting, "score": score}
                        | describe(values, self.get_range(score))
                        | {"failed": len(group) - len(values)}
                    )
        return pd.DataFrame(rows)

    def compare(self, score: str) -> pd.DataFrame:
        """Compare each setting with the first one, paired over the seeds.

        Parameters
        ----------
        score : str
            Column of `fits`, such as ``test_accuracy``.

        Returns
        -------
        DataFrame
            One row per dataset and setting other than the first, which is the
            ``baseline``: the mean difference, its standard deviation and 95% confidence
            interval, n, the p-value ``p`` of the paired t test, and ``p_holm``, the
            p-value adjusted by Holm's method for the number of rows.
        """
        rows: list[dict] = []
        if score not in self.fits:
            return pd.DataFrame()
        limits = get_difference_range(self.get_range(score))
        for data, of_data in self.fits.groupby("data", sort=False):
            table = of_data.pivot(index="seed", columns="setting", values=score)
            names = list(dict.fromkeys(of_data["setting"]))
            for name in names[1:]:
                paired = table[name].astype(float) - table[names[0]].astype(float)
                differences = paired.dropna().to_numpy()
                if len(differences) > 1:
                    rows.append(
                        {"data": data, "setting": name, "baseline": names[0]}
                        | describe(differences, limits)
                        | {"p": compute_p_value(differences)}
                    )
        adjusted = adjust_p_values([row["p"] for row in rows])
        return pd.DataFrame(
            [row | {"p_holm": p} for row, p in zip(rows, adjusted.tolist(), strict=True)]
        )

    @cached_property
    def differences(self) -> pd.DataFrame:
        """The comparisons of `compare` for each metric of each test, in one table."""
        tables = [
            self.compare(score).assign(score=score)
            for test in self.study.test_names
            for metric in self.study.metrics
            if (score := f"{test}_{metric}") in self.fits
        ]
        tables = [table for table in tables if "setting" in table]
        if not tables:
            return pd.DataFrame()
        table = pd.concat(tables, ignore_index=True)
        return table[["score", *table.columns.drop("score")]]

    def get_range(self, score: str) -> Range:
        """Return the smallest and the largest value that a score can have.

        Parameters
        ----------
        score : str
            Column of `fits`, such as ``test_accuracy`` or ``train_loss``.

        Returns
        -------
        tuple of float
            The two ends, which may be infinite.
        """
        name = score.removesuffix(AT_BEST_EPOCH)
        of_tests = {
            f"{test}_{metric}": metric
            for test in self.study.test_names
            for metric in self.study.metrics
        }
        return get_range(of_tests.get(name, name))

    @cached_property
    def committees(self) -> pd.DataFrame:
        """Scores of the committee of each setting that has several seeds.

        A committee predicts the mean of the probabilities of the fits of all seeds. One row
        per dataset and setting, with the columns ``data``, ``setting``, ``n``, the number
        of fits, and ``<test>_<metric>``. Studies that were run before there were committees
        have none.
        """
        found = {r["key"]: r for r in self.records if r["kind"] == "committee"}
        rows = []
        for group in group_by_setting(self.jobs):
            key = make_committee_key([job.make_key(self.study) for job in group])
            if key in found:
                row = {"data": group[0].data, "setting": group[0].setting, "n": len(group)}
                tests = found[key]["tests"]
                rows.append(
                    row
                    | {
                        f"{test}_{metric}": tests.get(test, {}).get(metric)
                        for test in self.study.test_names
                        for metric in self.study.metrics
                    }
                )
        return pd.DataFrame(rows)

    def evaluated_fits(self, data: str) -> list[dict]:
        """Return the fits of the first setting that has confusion matrices.

        Parameters
        ----------
        data : str
            Name of the dataset.

        Returns
        -------
        list of dict
            One record per seed; empty if no fit on the dataset was evaluated.
        """
        found = [r for r in self.fit_records if r["data"] == data and _get_confusion(r)]
        return [r for r in found if r["setting"] == found[0]["setting"]]

    def confusion_matrix(self, data: str, setting: str) -> np.ndarray:
        """Return the confusion matrix on the test set, summed over the seeds.

        Parameters
        ----------
        data : str
            Name of the dataset.
        setting : str
            Name of the setting.

        Returns
        -------
        ndarray of shape (n_classes, n_classes)
            True classes in rows, predicted classes in columns.

        Raises
        ------
        KeyError
            If no fit of the setting was evaluated.
        """
        matrices = [
            matrix
            for record in self.fit_records
            if (record["data"], record["setting"]) == (data, setting)
            and (matrix := _get_confusion(record))
        ]
        if not matrices:
            raise KeyError(f"no evaluated fit of the setting {setting!r} on {data}")
        return np.sum(matrices, axis=0)

    def candidates(self, data: str) -> pd.DataFrame:
        """Return the candidates of a search, best first.

        Parameters
        ----------
        data : str
            Name of the dataset.

        Returns
        -------
        DataFrame
            One row per candidate. ``difference`` is its mean difference from the best
            candidate (from the first setting in a search of kind "settings"), paired over
            the folds; ``low`` and ``high`` are the limits of the 95% confidence interval.
        """
        results = self.cv_results(data)
        folds = self._get_fold_scores(data)
        baseline = 0 if "param_setting" in results else self.searches[data]["best"]
        limits = get_difference_range(get_range(self.study.metrics[0]))
        rounds = results.get("iter", np.zeros(len(folds), dtype=int))
        rows = []
        for k, params in enumerate(results["params"]):
            row = {"rank": int(results["rank_test_score"][k])} | dict(params)
            if "iter" in results:
                row |= {"round": rounds[k] + 1, "n_resources": results["n_resources"][k]}
            if "state" in results:
                row |= {name: results[name][k] for name in ("state", "epochs")}
            row |= {"mean": folds[k].mean(), "sd": folds[k].std(ddof=1)}
            if baseline is not None:
                # Each round of a halving search has its own folds.
                is_paired = rounds[k] == rounds[baseline] and row.get("state") != "pruned"
                paired = describe(folds[k] - folds[baseline] if is_paired else [], limits)
                row |= {"difference": paired["mean"]}
                row |= {"low": paired["low"], "high": paired["high"]}
            rows.append(row)
        frame = pd.DataFrame(rows, dtype=object).infer_objects()
        # infer_objects converts None to NaN; values of parameters must not change.
        for name in results["params"][0]:
            frame[name] = pd.Series([row[name] for row in rows], dtype=object)
        return frame.sort_values("rank", kind="stable", ignore_index=True)

    def _get_fold_scores(self, data: str) -> np.ndarray:
        """Return the scores of a search, of shape (n_candidates, n_folds)."""
        results = self.cv_results(data)
        splits = sorted(key for key in results if key.startswith("split"))
        return np.stack([results[key] for key in splits], axis=1)

    def comparable_candidates(self, data: str) -> pd.DataFrame:
        """Return the candidates of a search that were trained in the same way.

        These are the candidates in the first round of a halving search, and those that
        Optuna did not prune.

        Parameters
        ----------
        data : str
            Name of the dataset.

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

    def find_collapsed(self, data: str) -> pd.Series:
        """Return which of the :meth:`comparable_candidates` have collapsed.

        A candidate has collapsed if its score on at least one fold is at chance level: if
        the score exceeds that of predictions by chance by less than a tenth of what the
        best candidate exceeds it by.

        Parameters
        ----------
        data : str
            Name of the dataset.

        Returns
        -------
        Series of bool
            One value per candidate. A candidate that failed has not collapsed. If the best
            candidate is at chance level, none has.
        """
        folds = self._get_comparable_fold_scores(data)
        mean = folds.mean(axis=1, skipna=False)
        n_classes = self.study.get_dataset(data).n_classes
        chance = compute_chance_level(self.study.metrics[0], n_classes)
        # The comparison is false if a value is NaN.
        limit = chance + _COLLAPSED * (mean.max() - chance)
        collapsed = folds.min(axis=1, skipna=False) < limit
        has_best = collapsed & (mean == mean.max())
        return collapsed & ~has_best.any()

    def _get_comparable_fold_scores(self, data: str) -> pd.DataFrame:
        """Return the scores of the comparable candidates, with a column for each fold."""
        index = self.comparable_candidates(data).index
        order = self.cv_results(data)["rank_test_score"].argsort(kind="stable")
        return pd.DataFrame(self._get_fold_scores(data)[order]).loc[index]

    def main_effects(self, data: str) -> pd.DataFrame:
        """Return the mean score of the candidates that share the value of a parameter.

        Parameters
        ----------
        data : str
            Name of the dataset.

        Returns
        -------
        DataFrame
            One row per parameter and value: mean, standard deviation, number of candidates
            and 95% confidence interval, over the :meth:`comparable_candidates` that have
            not collapsed, see :meth:`find_collapsed`, and ``collapsed``, the number of
            those that have. A mean over no candidate is NaN.
        """
        candidates, rows = self.comparable_candidates(data), []
        collapsed = self.find_collapsed(data)
        limits = get_range(self.study.metrics[0])
        for name, values in self.grid.items():
            for value in [] if isinstance(values, Distribution) else values:
                has_value = np.array([other == value for other in candidates[name]], bool)
                shown = candidates["mean"][has_value & ~collapsed]
                means = shown.dropna().to_numpy(dtype=float)
                n_collapsed = int(collapsed[has_value].sum())
                if len(means) or n_collapsed:
                    row = {"parameter": name, "value": format_label(value)}
                    row |= describe(means, limits)
                    rows.append(row | {"collapsed": n_collapsed})
        columns = ["parameter", "value", *describe([]), "collapsed"]
        return pd.DataFrame(rows, columns=columns)

    def variance_shares(self, data: str) -> pd.DataFrame:
        """Return the shares of parameters and interactions in the variance of the scores.

        The analysis of variance is that of the :meth:`comparable_candidates` that have not
        collapsed, see :meth:`find_collapsed`. In a halving search these are the candidates
        of the first round, so that the shares are those after the fewest resources. The
        F tests are approximate, because the training sets of the folds overlap.

        Parameters
        ----------
        data : str
            Name of the dataset.

        Returns
        -------
        DataFrame
            One row per term, the largest share first: the parameters, the pairs of
            parameters ("activation × pooling"), all interactions of three or more
            parameters, the folds, and the remainder. ``share`` is the fraction of the total
            sum of squares (type II), ``df`` are the degrees of freedom, and ``f`` and ``p``
            are the statistic and the p-value of the F test against the remainder. The frame
            is empty for searches that do not try all combinations of a grid, and if the
            effects cannot be separated because too many candidates are missing.
        """
        if data not in self._variance_shares:
            assert self.study.search is not None
            has_all = self.study.search.kind in _WITH_ALL_COMBINATIONS
            included = ~self.find_collapsed(data) & has_all
            self._variance_shares[data] = decompose_variance(
                self.comparable_candidates(data)[list(self.grid)][included],
                self._get_comparable_fold_scores(data)[included].to_numpy(),
            )
        return self._variance_shares[data].copy()

    @property
    def grid(self) -> Mapping:
        """Values or distribution of each parameter of the search."""
        return self.study.search.grid if self.study.search else {}


def _validate_study(path: Path, recorded: dict, records: list[dict]) -> Study:
    """Return a recorded study, validated like a study file, with its datasets."""
    try:
        study = Study.from_record(recorded)
        return study.with_datasets(
            {
                record["data"]: read_described(record)
                for record in records
                if record["kind"] == "dataset" and record["data"] in study.data
            }
        )
    except BadKey as error:
        raise StudyError(f"{path}: the recorded study: {error}") from error
    except ValidationError as error:
        problem = explain_errors(error)[0]
        raise StudyError(f"{path}: the recorded study: {problem}") from error


def _get_confusion(record: dict) -> list | None:
    """Return the confusion matrix on the unchanged test images, if there is one."""
    return record.get("tests", {}).get(TEST_SET, {}).get("confusion")


def _summarize_history(record) -> dict:
    """Return the number of epochs, and the metrics of the last and the best epoch."""
    history = record.get("history")
    if not history:
        return {}
    row = {"epochs": len(history)}
    row |= {name: history[-1][name] for name in HISTORY_METRICS if name in history[-1]}
    best = record.get("best_epoch")
    if best:
        at_best = history[best - 1]
        row |= {
            f"{name}{AT_BEST_EPOCH}": at_best[name]
            for name in HISTORY_METRICS
            if name in at_best
        }
    return row


def _to_array(values: list, dtype) -> np.ndarray:
    array = np.empty(len(values), dtype=dtype)
    for k, value in enumerate(values):  # a value may be a list, which stays one element
        array[k] = value
    return array


def _dtype_of(key: str):
    if key.startswith("param_") or key == "state":
        return object
    is_integer = key.startswith("rank") or key in ("iter", "n_resources", "epochs")
    return np.int32 if is_integer else float
