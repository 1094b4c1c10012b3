"""The results of a study as one HTML file, with its tables and figures."""

import base64
import io
import json
import math
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any, NamedTuple

import pandas as pd

from sklenet.estimator import LeNet5Classifier
from sklenet.study.config.spec import AT_BEST_EPOCH
from sklenet.study.config.values import format_label
from sklenet.study.report.figures import (
    STYLE,
    Figure,
    describe_collapsed,
    iter_figures,
)
from sklenet.study.report.files import ReportFiles
from sklenet.study.report.published import compare_to_published, format_published
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import compute_class_metrics
from sklenet.study.report.tables import (
    F_TESTS,
    describe_setting,
    describe_shares,
    make_series_tables,
    make_training_table,
)
from sklenet.study.report.templates import render_template
from sklenet.study.report.text import (
    format_difference,
    format_duration,
    format_p_value,
    format_score,
    format_value,
)

PAGE = "report.html"

_DPI = 200
# Defaults for what older or incomplete records of a run lack.
_RUN: dict = {"command": None, "started": "", "revision": None, "versions": {}}
_MACHINE = {"cpu": "", "cores": None, "system": "", "cuda": None}
# Longer tables have a filter.
_N_ROWS_WITHOUT_FILTER = 6
_INTEGER_COLUMNS = {"epochs", "best_epoch", "n", "failed", "seed", "n_test", "rank", "df"}
_SCORE_COLUMNS = {"mean", "sd", "low", "high", "precision", "recall", "f1"}
_PARAMETERS = set(LeNet5Classifier().get_params())
_LABELS = {
    "sd": "standard deviation",
    "low": "95% CI: lower limit",
    "high": "95% CI: upper limit",
    "p": "p-value",
    "p_holm": "p-value, Holm",
    "failed": "failed fits",
    "df": "degrees of freedom",
    "f": "F",
    "f1": "F1",
}


class Cell(NamedTuple):
    """A cell of a table.

    Parameters
    ----------
    text : str
        Displayed text.
    value : float or None
        Number by which the cell is sorted; None to sort by the text.
    """

    text: str
    value: float | None


class Section(NamedTuple):
    """A table of the page.

    Parameters
    ----------
    title : str
        Heading of the section.
    text : str
        Paragraph between the heading and the table.
    columns : list of str
        Headings of the columns.
    is_numeric : list of bool
        Whether each column has numbers, which are aligned to the right.
    rows : list of list of Cell
        Cells of the table.
    """

    title: str
    text: str
    columns: list[str]
    is_numeric: list[bool]
    rows: list[list[Cell]]

    @property
    def has_filter(self) -> bool:
        """Whether the table is long enough to be filtered."""
        return len(self.rows) > _N_ROWS_WITHOUT_FILTER


def write_page(results: Results, files: ReportFiles | None = None) -> str:
    """Write the page, and the figures as PNG, SVG and PDF, into the folder of the study.

    Parameters
    ----------
    results : Results
        Results of the study.
    files : ReportFiles, optional
        Writer that collects errors; one file that fails does not prevent the others.

    Returns
    -------
    str
        Path of the page.

    Raises
    ------
    StudyError
        Without `files`, if a file could not be made or written. The other files have been
        written.
    """
    writer = ReportFiles(results.folder) if files is None else files
    images = []
    for data in results.study.data:
        try:
            figures = list(iter_figures(results, data))
        except Exception as error:
            writer.add_error(f"figures of {data}", error)
            continue
        images += [_write_figure(writer, figure) for figure in figures]
    written = [image for image in images if image is not None]
    writer.write(PAGE, lambda: _render_page(results, written))
    if files is None:
        writer.raise_errors()
    return str(results.folder / PAGE)


def _write_figure(files: ReportFiles, figure: Figure) -> dict | None:
    """Write a figure as SVG, PDF and PNG; return its image for the page, if any."""
    import matplotlib.pyplot as plt

    def save(**options) -> bytes:
        content = io.BytesIO()
        drawn.savefig(content, **options)
        return content.getvalue()

    name = figure.name
    # Without dates and random ids, the same records give the same bytes.
    with plt.rc_context(STYLE | {"svg.hashsalt": name}):
        open_before = set(plt.get_fignums())
        try:
            drawn = figure.draw()
            files.write(f"{name}.svg", lambda: save(format="svg", metadata={"Date": None}))
            undated = {"CreationDate": None}
            files.write(f"{name}.pdf", lambda: save(format="pdf", metadata=undated))
            png = save(format="png", dpi=_DPI)
            width, height = (round(inches * _DPI) for inches in drawn.get_size_inches())
        except Exception as error:
            files.add_error(name, error)
            return None
        finally:
            for number in set(plt.get_fignums()) - open_before:
                plt.close(number)
    files.write(f"{name}.png", lambda: png)
    return {
        "title": figure.title,
        "caption": figure.caption,
        "data": base64.b64encode(png).decode(),
        "width": width,
        "height": height,
    }


def _render_page(results: Results, images: list[dict]) -> str:
    fits = results.fit_records
    seconds = sum(record.get("seconds") or 0 for record in results.records)
    return render_template(
        "report.html.j2",
        study=results.study,
        runs=[
            _RUN | run | {"machine": _MACHINE | run.get("machine", {})}
            for run in results.runs
        ],
        n_done=len(fits),
        n_planned=len(results.jobs),
        n_not_requested=results.n_not_requested,
        n_search_fits=len(results.folds),
        duration=format_duration(seconds),
        results=list(_iter_result_sections(results)),
        sections=list(_iter_sections(results)),
        images=images,
        study_text=json.dumps(_drop_empty(results.study.to_record()), indent=2),
        parameters=json.dumps(fits[0]["params"], indent=2) if fits else "none yet",
    )


def _drop_empty(value):
    """Return a plain value without the keys whose values are empty."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if v not in (None, "", [], {})}
        return {k: _drop_empty(v) for k, v in kept.items()}
    return [_drop_empty(item) for item in value] if isinstance(value, list) else value


def _iter_result_sections(results: Results) -> Iterator[Section]:
    """Yield the short tables, which precede the figures."""
    yield from _iter_test_sections(results)
    published = compare_to_published(results)
    if len(published):
        yield _make_published_section(results, published)


def _make_published_section(results: Results, published: pd.DataFrame) -> Section:
    """Return the comparison with published results, which are of different metrics."""
    texts, numbers = format_published(results), published.select_dtypes("number")
    section = _make_section("Published results", "", texts)
    rows = [
        [Cell(text, _to_number(values.get(name))) for name, text in row.items()]
        for row, values in zip(
            texts.to_dict("records"), numbers.to_dict("records"), strict=True
        )
    ]
    return section._replace(rows=rows, is_numeric=[name in numbers for name in texts])


def _iter_sections(results: Results) -> Iterator[Section]:
    """Yield the long tables, which follow the figures."""
    for data in results.study.data:
        yield from _iter_search_sections(results, data)
    for data in results.study.data:
        yield from _iter_class_sections(results, data)
    yield from _iter_fit_sections(results)


def _iter_test_sections(results: Results) -> Iterator[Section]:
    if not len(results.summary):
        return
    study = results.study
    # Losses and numbers of epochs, which are of other magnitudes, are in a table of
    # their own.
    names = results.summary["score"].str.removesuffix(AT_BEST_EPOCH)
    elsewhere = ["train_loss", "valid_loss", "epochs", *_list_series_scores(results)]
    scores = results.summary[~names.isin(elsewhere)]
    settings = [
        describe_setting(results, row["data"], row["setting"])
        for _, row in scores.iterrows()
    ]
    yield _make_section(
        "Results",
        "Means over the seeds, with Student's 95% confidence interval of the mean. Scores"
        " at the best epoch are those of the epoch with the lowest validation loss.",
        scores.assign(setting=settings),
    )
    training = make_training_table(results)
    if len(training):
        yield _make_section(
            "Training",
            "Metrics of the last epoch, as mean ± standard deviation over the seeds, and"
            " the mean time of a fit.",
            training,
        )
    committees = results.committees
    if len(committees):
        settings = [
            describe_setting(results, row["data"], row["setting"])
            for _, row in committees.iterrows()
        ]
        yield _make_section(
            "Committees",
            "Scores of the mean of the probabilities that the fits of all seeds predict.",
            _drop_series(results, committees.assign(setting=settings)),
        )
    for heading, table in make_series_tables(results):
        yield _make_section(
            heading,
            "Mean ± standard deviation over the seeds. Confidence intervals are in"
            " summary.csv.",
            table,
        )
    for test in study.single_test_names:
        differences = results.compare(f"{test}_{study.metrics[0]}")
        if len(differences):
            yield _make_section(
                f"Differences in {test} {study.metrics[0]}",
                "Differences from the first setting, the baseline, paired over the seeds,"
                " with the p-value of the paired t test, and the p-value adjusted by Holm's"
                f" method for the {len(differences)} comparisons of this table. The"
                " confidence intervals are not adjusted.",
                differences,
            )


def _iter_search_sections(results: Results, data: str) -> Iterator[Section]:
    if data not in results.searches:
        return
    yield _make_section(
        f"Candidates, {data}",
        f"Cross-validated {results.study.metrics[0]}, and its difference from the best"
        " candidate, or from the first setting, paired over the folds. The 95% confidence"
        " intervals are approximate, because the training sets of the folds overlap.",
        results.candidates(data),
    )
    effects = results.main_effects(data)
    if len(effects):
        collapsed = describe_collapsed(results, data)
        if not collapsed:
            effects = effects.drop(columns="collapsed")
        yield _make_section(
            f"Main effects, {data}",
            f"Mean score of all candidates with a value. {collapsed}".rstrip(),
            effects,
        )
    shares = results.variance_shares(data)
    if len(shares):
        yield _make_section(
            f"Share of the variance of the CV scores, {data}",
            f"{describe_shares(results, data)} {F_TESTS}",
            shares,
        )


def _iter_class_sections(results: Results, data: str) -> Iterator[Section]:
    fits = results.evaluated_fits(data)
    if not fits:
        return
    setting = fits[0]["setting"]
    described = describe_setting(results, data, setting)
    matrix = results.confusion_matrix(data, setting)
    yield _make_section(
        f"Metrics per class, {data}",
        f"Test set, {described}, sum over {len(fits)} seeds.",
        compute_class_metrics(matrix, list(results.study.get_dataset(data).class_names)),
    )


def _iter_fit_sections(results: Results) -> Iterator[Section]:
    failed = [record for record in results.fit_records if "error" in record]
    if failed:
        frame = pd.DataFrame(failed)[["data", "setting", "seed", "error"]]
        yield _make_section("Failed fits", "", frame)
    fits = results.fits
    if len(fits):
        identifying = ("data", "setting", "seed")
        constant = [
            name
            for name in fits
            if name not in identifying and fits[name].map(str).nunique() < 2
        ]
        text = (
            "All fits that were evaluated on the test set. Columns that have the same value"
            " in all rows are omitted."
        )
        if results.study.series:
            text += " The scores in series of tests are in fits.csv."
        yield _make_section(
            "Fits",
            text,
            _drop_series(results, fits.drop(columns=constant)),
        )


def _list_series_scores(results: Results) -> list[str]:
    """Return the names of the scores in series of tests, which have their own tables."""
    return [
        f"{test}_{metric}"
        for series in results.study.series
        for test in series.tests
        for metric in results.study.metrics
    ]


def _drop_series(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without the columns of scores in series of tests."""
    scores = _list_series_scores(results)
    names = [*scores, *(f"{score}{AT_BEST_EPOCH}" for score in scores)]
    return table.drop(columns=names, errors="ignore")


def _make_section(title: str, text: str, frame: pd.DataFrame) -> Section:
    frame = frame.dropna(axis="columns", how="all")
    formats = [_choose_format(str(name), frame[name]) for name in frame]
    return Section(
        title,
        text,
        columns=[_LABELS.get(str(name), str(name)) for name in frame],
        is_numeric=[pd.api.types.is_numeric_dtype(frame[name]) for name in frame],
        rows=[
            [
                _make_cell(value, format_number)
                for value, format_number in zip(row, formats, strict=True)
            ]
            for row in frame.itertuples(index=False)
        ],
    )


def _choose_format(column: str, values: pd.Series) -> Callable[[Any], str]:
    """Return the function that formats all numbers of a column in the same way."""
    numbers = [number for value in values if (number := _to_number(value)) is not None]
    sizes = [abs(number) for number in numbers if number and math.isfinite(number)]
    if column in _PARAMETERS or "__" in column:
        return format_value
    if column == "difference":
        return format_difference
    if column == "share":
        return "{:.1%}".format
    if column in ("p", "p_holm"):
        return format_p_value
    if column in _SCORE_COLUMNS or column.endswith("accuracy"):
        return format_score
    if column in _INTEGER_COLUMNS or all(isinstance(v, Integral) for v in values):
        return "{:.0f}".format
    if not sizes:
        return "{:g}".format
    # Four significant digits of the largest, unless the smallest would then be 0.
    n_decimals = max(0, 3 - math.floor(math.log10(max(sizes))))
    if n_decimals > 6 or min(sizes) < 10**-n_decimals:
        return "{:.3e}".format
    return f"{{:.{n_decimals}f}}".format


def _to_number(value: Any) -> float | None:
    """Return a number as a float; None for anything else, and for NaN."""
    if value is None or isinstance(value, bool) or not hasattr(value, "__float__"):
        return None
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def _make_cell(value: Any, format_number: Callable[[Any], str]) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell("", None)
    number = _to_number(value)
    if number is None:
        return Cell(format_label(value), None)
    return Cell(format_number(value), number)
