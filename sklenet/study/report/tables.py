"""Tables of a study's records: Markdown to read, CSV to compute with."""

from functools import partial

import pandas as pd

from sklenet.study.config.spec import DEFAULT, ENDS, ORIGINALS
from sklenet.study.engine.plan import WINNER
from sklenet.study.report.files import ReportFiles
from sklenet.study.report.published import published_curves, published_table
from sklenet.study.report.results import Results
from sklenet.study.report.text import (
    difference,
    escape_html,
    escape_markdown,
    intervals,
    number,
    spread,
    to_csv,
    to_markdown_table,
    word,
)

TABLE = "table.md"
FITS = "fits.csv"
SUMMARY = "summary.csv"
CANDIDATES = "candidates_{}.csv"

_SHOWN_CANDIDATES = 10


def write_tables(results: Results, files: ReportFiles | None = None) -> str:
    """Write the tables into the study's folder.

    Parameters
    ----------
    results : Results
    files : ReportFiles, optional
        Where errors are noted; each file is written whatever becomes of the others.

    Returns
    -------
    str
        The tables in Markdown; "" if they could not be made.

    Raises
    ------
    StudyError
        Without `files`, if a file could not be made or written; the others have been.
    """
    own = ReportFiles(results.folder) if files is None else files
    texts = []

    def make() -> str:
        texts.append(render_tables(results))
        return texts[0]

    own.write(TABLE, make)
    own.write(FITS, lambda: to_csv(results.fits))
    own.write(SUMMARY, lambda: to_csv(results.summary))
    for data in results.searches:
        own.write(CANDIDATES.format(data), partial(_candidates_csv, results, data))
    if files is None:
        own.raise_errors()
    return texts[0] if texts else ""


def _candidates_csv(results: Results, data: str) -> str:
    return to_csv(results.candidates(data))


def render_tables(results: Results) -> str:
    """Return the study's tables: its candidates, its tests, and paired differences.

    Nothing in them depends on when, or in how many runs, the fits were made.
    """
    study = results.study
    parts = [f"**{escape_markdown(study.title)}**"]
    for data in study.data:
        if data in results.searches:
            parts.append(render_search(results, data))
    tested = result_table(results)
    if tested:
        parts += [_test_intro(results), tested]
    beside = published_table(results)
    if beside:
        parts += ["Published figures beside ours:", beside]
    parts += published_curves(results)
    parts += [
        escape_markdown(
            f"Failed: {record['data']}, {record['setting']}, seed {record['seed']}:"
            f" {' '.join(record['error'].split())}"
        )
        for record in results.fit_records
        if "error" in record
    ]
    compared = difference_table(results)
    if compared:
        parts += [f"Differences of test {study.metrics[0]}, paired over seeds:", compared]
    if study.notes:
        parts.append(escape_html(study.notes.strip()))
    return "\n\n".join(parts) + "\n"


def render_search(results: Results, data: str) -> str:
    """Return what a search on a data set did, and the table of its candidates."""
    return f"{_search_intro(results, data)}\n\n{_candidate_table(results, data)}"


def _search_intro(results: Results, data: str) -> str:
    search = results.study.search
    assert search is not None
    n_train = max(
        (
            one.get("n_train", 0)
            for one in results.records
            if one["kind"] in ("fold", "trial") and one["data"] == data
        ),
        default=0,
    )
    candidates = results.candidates(data)
    n = len(candidates)
    shown = f"; the best {_SHOWN_CANDIDATES}" if n > _SHOWN_CANDIDATES else ""
    if search.kind == "settings":
        first = escape_markdown(results.cv_results(data)["param_setting"][0])
        shown = f"; differences from {first!r}, paired over the folds, whose training"
        shown += " images overlap, so that the intervals are rough"
    given_up = ""
    if "state" in candidates:
        n_given_up = (candidates["state"] == "pruned").sum()
        given_up = f", {n_given_up} of them given up before their last epoch"
    return (
        f"{data}: {n} candidates in a search of kind {search.kind!r}{given_up},"
        f" {search.cv}-fold cross-validation with up to {n_train:,} images to train"
        f" on{shown}:"
    )


def _candidate_table(results: Results, data: str) -> str:
    """Return the table of a search's best candidates, or of all its settings."""
    candidates = results.candidates(data)
    metric = results.study.metrics[0]
    of_settings = "setting" in candidates
    shown = candidates if of_settings else candidates.head(_SHOWN_CANDIDATES)
    columns = [c for c in shown if c not in ("mean", "sd", "difference", "low", "high")]
    table = shown[columns].map(word)
    table[f"CV {metric}"] = shown["mean"].map(number)
    table["sd over folds"] = shown["sd"].map(number)
    if of_settings:
        table["difference"] = shown["difference"].map(difference)
        table["95 %"] = intervals(shown)
    return to_markdown_table(table, {"rank", f"CV {metric}", "sd over folds"})


def _test_intro(results: Results) -> str:
    held_out = results.study.validation
    if held_out is None or held_out == "test":
        trained = "Trained on the whole training set"
    else:
        how = "the first" if results.study.validation_rows == "first" else "a random"
        trained = (
            f"Trained without {how} {held_out:.0%} of the training set, for validation"
        )
    when, at_best = "after the last epoch", ""
    if any(record["params"].get("early_stopping") for record in results.fit_records):
        when += " or, with early stopping, after the epoch that was restored"
    if any(str(name).endswith(ENDS[1]) for name in results.fits):
        at_best = " The best epoch is that with the lowest validation loss."
    elif held_out == "test":
        when += " (and after each, for the curves)"
    return (
        f"{trained}, tested once per seed, {when}: mean ± standard deviation"
        " over seeds, and Student's 95 % interval of the mean of the first figure."
        f"{at_best}"
    )


def result_table(results: Results) -> str:
    """Return the table of test figures; "" without fits."""
    study = results.study
    summary, fits = results.summary, results.fits
    if not len(summary):
        return ""
    summary = summary.set_index(["data", "setting", "score"])
    rows = []
    for name, group in fits.groupby(["data", "setting"], sort=False):
        data, setting = map(str, name)
        done = group[group["error"].isna()]
        row = {"data": data, "setting": describe_setting(results, data, setting)}
        row["parameters"] = _range(done["n_parameters"].dropna())
        for test in study.tests:
            for metric in study.metrics:
                row[f"{test} {metric}"] = _spread(
                    summary, data, setting, f"{test}_{metric}"
                )
                if (test, metric) == (ORIGINALS, study.metrics[0]):
                    row["95 %"] = _interval(summary, data, setting, f"{test}_{metric}")
                    at_best = f"{test}_{metric}_at_best_epoch"
                    if (data, setting, at_best) in summary.index:
                        row["at the best epoch"] = _spread(summary, data, setting, at_best)
        if "valid_accuracy" in fits and study.validation != "test":
            row["validation accuracy"] = _spread(summary, data, setting, "valid_accuracy")
        row["seeds"] = str(len(done))
        row["epochs"] = _range(done["epochs"].dropna()) if "epochs" in done else ""
        row["test images"] = _range(done["n_test"].dropna())
        rows.append(row)
    return to_markdown_table(pd.DataFrame(rows).fillna(""))


def describe_setting(results: Results, data: str, name: str) -> str:
    """Return a setting's name, or the parameters that it stands for."""
    if name == WINNER:
        search = results.searches[data]
        chosen = search["cv_results"]["params"][search["best"]]
        if "setting" in chosen:
            return chosen["setting"]
    elif name == DEFAULT:
        chosen = results.study.estimator
    else:
        return name
    return ", ".join(f"{key} {word(value)}" for key, value in chosen.items()) or "defaults"


def difference_table(results: Results) -> str:
    """Return the table of differences, paired over seeds; "" where there are none."""
    score = f"{ORIGINALS}_{results.study.metrics[0]}"
    if score not in results.fits:
        return ""
    compared = results.compare(score)
    if not len(compared):
        return ""
    table = compared[["data", "setting", "minus"]].copy()
    table["difference"] = compared["mean"].map(difference)
    table["95 %"] = intervals(compared)
    table["seeds"] = compared["n"].map(str)
    return to_markdown_table(table)


def _spread(summary, data, setting, score) -> str:
    if (data, setting, score) not in summary.index:
        return "failed"
    row = summary.loc[(data, setting, score)]
    return spread(row["mean"], row["sd"])


def _interval(summary, data, setting, score) -> str:
    if (data, setting, score) not in summary.index:
        return ""
    row = summary.loc[(data, setting, score)]
    return f"{number(row['low'])} to {number(row['high'])}" if row["n"] > 1 else ""


def _range(values) -> str:
    if not len(values):
        return ""
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
