"""Tables of the results of a study, in Markdown, LaTeX and CSV."""

import math
from functools import partial
from typing import Any

import pandas as pd

from sklenet.study.config.spec import (
    AT_BEST_EPOCH,
    DEFAULT_SETTING,
    HISTORY_METRICS,
    TEST_SET,
)
from sklenet.study.config.tables import TestSeries
from sklenet.study.config.values import format_label
from sklenet.study.engine.plan import WINNER
from sklenet.study.report.files import ReportFiles
from sklenet.study.report.latex import LatexTable, to_latex
from sklenet.study.report.published import compare_curves, format_published
from sklenet.study.report.results import Results
from sklenet.study.report.templates import render_template
from sklenet.study.report.text import (
    format_difference,
    format_duration,
    format_interval,
    format_mean_sd,
    format_p_value,
    format_score,
    format_value,
    to_csv,
    to_markdown_table,
)

TABLE = "table.md"
LATEX = "table.tex"
FITS = "fits.csv"
SUMMARY = "summary.csv"
DIFFERENCES = "differences.csv"
COMMITTEES = "committees.csv"
CANDIDATES = "candidates_{}.csv"
VARIANCE = "variance_{}.csv"

# A remark on the tests of the analysis of variance.
F_TESTS = (
    "The F tests against the remainder are approximate, because the training sets of the"
    " folds overlap."
)

_MAX_CANDIDATES = 10
_SD = "sd over folds"


def write_tables(results: Results, files: ReportFiles | None = None) -> str:
    """Write the tables into the folder of the study.

    Parameters
    ----------
    results : Results
        Results of the study.
    files : ReportFiles, optional
        Writer that collects errors; one file that fails does not prevent the others.

    Returns
    -------
    str
        The tables in Markdown; "" if they could not be made.

    Raises
    ------
    StudyError
        Without `files`, if a file could not be made or written. The other files have been
        written.
    """
    writer = ReportFiles(results.folder) if files is None else files
    texts = []

    def make_table() -> str:
        texts.append(render_tables(results))
        return texts[0]

    writer.write(TABLE, make_table)
    writer.write(LATEX, lambda: render_latex(results))
    writer.write(FITS, lambda: to_csv(results.fits))
    writer.write(SUMMARY, lambda: to_csv(results.summary))
    if len(results.differences):
        writer.write(DIFFERENCES, lambda: to_csv(results.differences))
    if len(results.committees):
        writer.write(COMMITTEES, lambda: to_csv(results.committees))
    for data in results.searches:
        writer.write(CANDIDATES.format(data), partial(_make_candidates_csv, results, data))
        if len(results.variance_shares(data)):
            writer.write(VARIANCE.format(data), partial(_make_variance_csv, results, data))
    if files is None:
        writer.raise_errors()
    return texts[0] if texts else ""


def _make_candidates_csv(results: Results, data: str) -> str:
    return to_csv(results.candidates(data))


def _make_variance_csv(results: Results, data: str) -> str:
    return to_csv(results.variance_shares(data))


def render_tables(results: Results) -> str:
    """Render the tables of candidates, test results and paired differences in Markdown.

    They do not depend on when, or in how many runs, the fits were made.
    """
    study = results.study
    return render_template(
        "table.md.j2",
        study=study,
        searches=[
            _describe_search(results, data)
            for data in study.data
            if data in results.searches
        ],
        result_table=_if_any(make_result_table(results)),
        series=make_series_tables(results),
        training_set=_describe_training_set(results),
        evaluated_at=_describe_evaluation(results),
        has_committees=len(results.committees) > 0,
        has_best_epoch=any(str(name).endswith(AT_BEST_EPOCH) for name in results.fits),
        published=_if_any(format_published(results)),
        curves=compare_curves(results),
        failures=[
            f"{record['data']}, {record['setting']}, seed {record['seed']}:"
            f" {' '.join(record['error'].split())}"
            for record in results.fit_records
            if "error" in record
        ],
        differences=_if_any(make_difference_table(results)),
    )


def render_latex(results: Results) -> str:
    """Render the tables of candidates, test results and paired differences in LaTeX.

    They are tables of the booktabs package, to be included by ``\\input``.
    """
    study = results.study
    tables = [
        LatexTable(
            f"{study.title}: candidates of the search on {data}, best first",
            f"tab:{study.name}-candidates-{data}",
            _select_candidates(results, data),
        )
        for data in study.data
        if data in results.searches
    ]
    tables += [
        LatexTable(
            f"{study.title}: share of the variance of the CV scores, {data}."
            f" {describe_shares(results, data)} {F_TESTS}",
            f"tab:{study.name}-variance-{data}",
            make_variance_table(results, data),
        )
        for data in study.data
        if data in results.searches and len(results.variance_shares(data))
    ]
    tables.append(
        LatexTable(
            f"{study.title}: mean ± standard deviation over the seeds",
            f"tab:{study.name}-results",
            make_result_table(results),
        )
    )
    tables += [
        LatexTable(
            f"{study.title}: {heading[0].lower()}{heading[1:]}, mean ± standard deviation"
            " over the seeds",
            f"tab:{study.name}-series-{k}",
            table,
        )
        for k, (heading, table) in enumerate(make_series_tables(results), 1)
    ]
    tables.append(
        LatexTable(
            f"{study.title}: differences in test {study.metrics[0]}, paired over the"
            " seeds, with p-values adjusted by Holm's method and unadjusted confidence"
            " intervals",
            f"tab:{study.name}-differences",
            make_difference_table(results),
        )
    )
    return to_latex([table for table in tables if len(table.frame)])


def _if_any(frame: pd.DataFrame) -> pd.DataFrame | None:
    return frame if len(frame) else None


def render_search(results: Results, data: str) -> str:
    """Render a search on a dataset in Markdown: its description and its candidates."""
    return render_template("search.md.j2", search=_describe_search(results, data))


def _describe_search(results: Results, data: str) -> dict[str, Any]:
    """Return the variables of the template of a search."""
    search = results.study.search
    assert search is not None
    candidates = results.candidates(data)
    is_of_settings = search.kind == "settings"
    table = _select_candidates(results, data)
    n_train = [
        record.get("n_train", 0)
        for record in results.records
        if record["kind"] in ("fold", "trial") and record["data"] == data
    ]
    return {
        "data": data,
        "kind": search.kind,
        "n_candidates": len(candidates),
        "n_shown": len(table),
        "n_pruned": sum(candidates["state"] == "pruned") if "state" in candidates else 0,
        "n_folds": search.cv,
        "n_train": max(n_train, default=0),
        "baseline": results.cv_results(data)["param_setting"][0] if is_of_settings else "",
        "table": to_markdown_table(table, {"rank", f"CV {results.study.metrics[0]}", _SD}),
        "shares": _describe_variance(results, data),
    }


def _describe_variance(results: Results, data: str) -> dict[str, str] | None:
    """Return the variables of the template of the analysis of variance, if there is one."""
    table = make_variance_table(results, data)
    if not len(table):
        return None
    return {
        "description": f"{describe_shares(results, data)} {F_TESTS}",
        "table": to_markdown_table(table, set(table) - {"term"}),
    }


def make_variance_table(results: Results, data: str) -> pd.DataFrame:
    """Return the shares of parameters in the variance of the CV scores as text.

    Parameters
    ----------
    results : Results
        Results of the study.
    data : str
        Name of the dataset.

    Returns
    -------
    DataFrame
        Empty where :meth:`Results.variance_shares` is.
    """
    shares = results.variance_shares(data)
    if not len(shares):
        return pd.DataFrame()
    table = shares[["term"]].copy()
    table["share"] = shares["share"].map("{:.1%}".format)
    table["df"] = shares["df"].map(str)
    table["F"] = ["" if pd.isna(f) else f"{f:.1f}" for f in shares["f"]]
    table["p"] = shares["p"].map(format_p_value)
    return table


def describe_shares(results: Results, data: str) -> str:
    """Describe the candidates in the analysis of variance of a search in a sentence.

    Parameters
    ----------
    results : Results
        Results of the study.
    data : str
        Name of the dataset.
    """
    search = results.study.search
    assert search is not None
    candidates = results.comparable_candidates(data)
    n = int((candidates["mean"].notna() & ~results.find_collapsed(data)).sum())
    n_missing = math.prod(map(len, results.grid.values())) - n
    text = f"Analysis of variance of {n} candidates on {search.cv} folds"
    if search.kind == "halving":
        text += f", with {search.resource} = {candidates['n_resources'].iloc[0]}"
    if n_missing:
        text += (
            f", without the {n_missing} that failed or collapsed: the sums of squares are"
            " of type II and need not add up to the total"
        )
    return f"{text}."


def _select_candidates(results: Results, data: str) -> pd.DataFrame:
    """Return the candidates that tables show, as text."""
    candidates = results.candidates(data)
    assert results.study.search is not None
    if results.study.search.kind != "settings":
        candidates = candidates.head(_MAX_CANDIDATES)
    scores = ("mean", "sd", "difference", "low", "high")
    table = candidates.drop(columns=list(scores), errors="ignore").map(format_value)
    mean, sd = f"CV {results.study.metrics[0]}", _SD
    table[mean] = candidates["mean"].map(format_score)
    table[sd] = candidates["sd"].map(format_score)
    if "setting" in candidates:
        table["difference"] = candidates["difference"].map(format_difference)
        table["95% CI"] = _format_intervals(candidates)
    return table


def _format_intervals(frame: pd.DataFrame) -> list[str]:
    """Format the confidence intervals of differences."""
    limits = frame[["low", "high"]].to_numpy()
    return [format_interval(low, high, "+.4f") for low, high in limits]


def _describe_training_set(results: Results) -> str:
    held_out = results.study.validation
    if any(job.n_train is not None for job in results.jobs):
        text = "on stratified samples of the training set (n_train)"
        if isinstance(held_out, float):
            text += f", of which {held_out:.0%} were held out for validation,"
        return text
    if held_out is None or held_out == "test":
        return "on the whole training set"
    which = "the first" if results.study.validation_rows == "first" else "a random"
    return f"without {which} {held_out:.0%} of the training set, held out for validation,"


def _describe_evaluation(results: Results) -> str:
    text = "after the last epoch"
    if any(record["params"].get("early_stopping") for record in results.fit_records):
        text += " or, with early stopping, with the weights of the epoch that was restored"
    if results.study.validation == "test":
        text += " (and after every epoch, for the learning curves)"
    return text


def make_result_table(results: Results) -> pd.DataFrame:
    """Return the test results of each setting as text, empty without fits."""
    study, fits = results.study, results.fits
    if not len(results.summary):
        return pd.DataFrame()
    summary = results.summary.to_dict("records")
    rows = []
    for key, group in fits.groupby(["data", "setting"], sort=False):
        data, setting = map(str, key)
        scores = {
            one["score"]: one
            for one in summary
            if (one["data"], one["setting"]) == (data, setting)
        }
        done = group[group["error"].isna()]
        row = {"data": data, "setting": describe_setting(results, data, setting)}
        row["parameters"] = _format_range(done["n_parameters"])
        for test in study.single_test_names:
            for metric in study.metrics:
                name = f"{test}_{metric}"
                row[f"{test} {metric}"] = _format_summary(scores, name)
                if name == f"{TEST_SET}_{study.metrics[0]}":
                    row["95% CI"] = _format_summary_interval(scores, name)
                    if f"{name}{AT_BEST_EPOCH}" in scores:
                        row["at the best epoch"] = _format_summary(
                            scores, name + AT_BEST_EPOCH
                        )
        if "valid_accuracy" in fits and study.validation != "test":
            row["validation accuracy"] = _format_summary(scores, "valid_accuracy")
        row["seeds"] = str(len(done))
        row["epochs"] = _format_range(done["epochs"]) if "epochs" in done else ""
        row["test images"] = _format_range(done["n_test"])
        rows.append(row)
        rows += _make_committee_rows(results, data, setting, row)
    return pd.DataFrame(rows).fillna("")


def _make_committee_rows(results: Results, data: str, setting: str, row: dict) -> list:
    """Return the row of a setting's committee, if it has one, given that of its fits."""
    committees = results.committees
    if not len(committees):
        return []
    selected = (committees["data"] == data) & (committees["setting"] == setting)
    return [
        {
            "data": data,
            "setting": f"{row['setting']}, committee",
            "seeds": str(committee["n"]),
            "test images": row["test images"],
        }
        | {
            f"{test} {metric}": format_score(committee[f"{test}_{metric}"])
            for test in results.study.single_test_names
            for metric in results.study.metrics
        }
        for committee in committees[selected].to_dict("records")
    ]


def make_series_table(results: Results, series: TestSeries, metric: str) -> pd.DataFrame:
    """Return the scores in a series of tests as text, empty without fits.

    Parameters
    ----------
    results : Results
        Results of the study.
    series : TestSeries
        A series of the study.
    metric : str
        A metric of the study.

    Returns
    -------
    DataFrame
        One row per dataset and setting, and one per committee. One column per value of the
        parameter, after that of the unchanged test images.
    """
    if not len(results.summary):
        return pd.DataFrame()
    labels = {TEST_SET: "unchanged"}
    labels |= {test: format_label(value) for test, value in series.tests.items()}
    scores = {f"{test}_{metric}": label for test, label in labels.items()}
    rows = []
    fits, committees = results.fits, results.committees
    for key, _ in fits.groupby(["data", "setting"], sort=False):
        data, setting = map(str, key)
        of_setting = (results.summary["data"] == data) & (
            results.summary["setting"] == setting
        )
        found = {
            row["score"]: row for row in results.summary[of_setting].to_dict("records")
        }
        row = {"data": data, "setting": describe_setting(results, data, setting)}
        rows.append(
            row | {label: _format_summary(found, name) for name, label in scores.items()}
        )
        for committee in committees.to_dict("records"):
            if (committee["data"], committee["setting"]) == (data, setting):
                row = row | {"setting": f"{row['setting']}, committee"}
                rows.append(
                    row | {v: format_score(committee[k]) for k, v in scores.items()}
                )
    return pd.DataFrame(rows)


def make_series_tables(results: Results) -> list[tuple[str, pd.DataFrame]]:
    """Return a heading and a table for each series of tests and metric."""
    tables = [
        (
            f"Test {metric} in the series {series.name!r}, by {series.parameter}",
            make_series_table(results, series, metric),
        )
        for series in results.study.series
        for metric in results.study.metrics
    ]
    return [(heading, table) for heading, table in tables if len(table)]


def describe_setting(results: Results, data: str, name: str) -> str:
    """Return the name of a setting, or the parameters that it stands for."""
    if name == WINNER:
        search = results.searches[data]
        params = search["cv_results"]["params"][search["best"]]
        if "setting" in params:
            return params["setting"]
    elif name == DEFAULT_SETTING:
        params = results.study.estimator
    else:
        return name
    words = [f"{key} {format_value(value)}" for key, value in params.items()]
    return ", ".join(words) or "defaults"


def make_difference_table(results: Results) -> pd.DataFrame:
    """Return each setting's difference from the first one as text, empty without pairs."""
    differences = results.compare(f"{TEST_SET}_{results.study.metrics[0]}")
    if not len(differences):
        return pd.DataFrame()
    table = differences[["data", "setting", "baseline"]].copy()
    table["difference"] = differences["mean"].map(format_difference)
    table["95% CI"] = _format_intervals(differences)
    table["p (Holm)"] = differences["p_holm"].map(format_p_value)
    table["seeds"] = differences["n"].map(str)
    return table


def make_training_table(results: Results) -> pd.DataFrame:
    """Return the metrics of training of each setting as text, empty without fits."""
    if not len(results.summary):
        return pd.DataFrame()
    rows = []
    fits = results.fits
    for (data, setting), scores in results.summary.groupby(["data", "setting"], sort=False):
        found = {row["score"]: row for row in scores.to_dict("records")}
        of_setting = fits[(fits["data"] == data) & (fits["setting"] == setting)]
        row = {"data": data, "setting": describe_setting(results, str(data), str(setting))}
        row["epochs"] = _format_range(of_setting.get("epochs", pd.Series(dtype=float)))
        for name in HISTORY_METRICS:
            format_number = "{:.3g}".format if name.endswith("loss") else format_score
            if name in found:
                mean, sd = found[name]["mean"], found[name]["sd"]
                row[name.replace("_", " ")] = format_mean_sd(mean, sd, format_number)
        seconds = of_setting["seconds"].astype(float).mean()
        row["time"] = "" if pd.isna(seconds) else format_duration(seconds)
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def _format_summary(scores: dict[str, dict], name: str) -> str:
    if name not in scores:
        return "failed"
    return format_mean_sd(scores[name]["mean"], scores[name]["sd"])


def _format_summary_interval(scores: dict[str, dict], name: str) -> str:
    return (
        format_interval(scores[name]["low"], scores[name]["high"]) if name in scores else ""
    )


def _format_range(values: pd.Series) -> str:
    """Format the smallest and the largest of some counts, or the only one."""
    values = values.dropna()
    if not len(values):
        return ""
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
