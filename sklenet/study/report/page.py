"""The results of a study as one HTML file, with its tables and figures."""

import base64
import io
import json
import math
from collections.abc import Iterator
from numbers import Integral
from typing import Any, NamedTuple

import pandas as pd

from sklenet.study.config.values import format_label
from sklenet.study.report.figures import Figure, iter_figures
from sklenet.study.report.files import ReportFiles
from sklenet.study.report.published import compare_to_published
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import compute_class_metrics
from sklenet.study.report.tables import describe_setting
from sklenet.study.report.templates import render_template

PAGE = "report.html"

_DPI = 110
# Defaults for what older or incomplete records of a run lack.
_RUN: dict = {"command": None, "started": "", "revision": None, "versions": {}}
_MACHINE = {"cpu": "", "cores": None, "system": "", "cuda": None}
# Longer tables have a filter.
_N_ROWS_WITHOUT_FILTER = 6
_INTEGER_COLUMNS = {"epochs", "best_epoch", "n", "failed", "seed", "n_test", "rank"}
_LABELS = {
    "sd": "standard deviation",
    "low": "95% CI: lower limit",
    "high": "95% CI: upper limit",
    "p": "p-value",
    "failed": "failed fits",
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
    """Write the page, and the figures as PNG and SVG, into the folder of the study.

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
    """Write a figure as SVG and PNG; return the image for the page, if it was drawn."""
    import matplotlib.pyplot as plt

    def save(**options) -> bytes:
        content = io.BytesIO()
        drawn.savefig(content, **options)
        return content.getvalue()

    name = figure.name
    # Without dates and random ids, the same records give the same bytes. TeX would
    # interpret names as commands.
    with plt.rc_context({"svg.hashsalt": name, "text.usetex": False}):
        open_before = set(plt.get_fignums())
        try:
            drawn = figure.draw()
            files.write(f"{name}.svg", lambda: save(format="svg", metadata={"Date": None}))
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
        hours=seconds / 3600,
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


def _iter_sections(results: Results) -> Iterator[Section]:
    yield from _iter_test_sections(results)
    published = compare_to_published(results)
    if len(published):
        yield _make_section("Published results", "", published)
    for data in results.study.data:
        yield from _iter_search_sections(results, data)
    for data in results.study.data:
        yield from _iter_class_sections(results, data)
    yield from _iter_fit_sections(results)


def _iter_test_sections(results: Results) -> Iterator[Section]:
    if not len(results.summary):
        return
    study = results.study
    settings = [
        describe_setting(results, row["data"], row["setting"])
        for _, row in results.summary.iterrows()
    ]
    yield _make_section(
        "Results",
        "Means over the seeds, with Student's 95% confidence interval of the mean. Scores"
        " at the best epoch are those of the epoch with the lowest validation loss.",
        results.summary.assign(setting=settings),
    )
    for test in study.test_names:
        differences = results.compare(f"{test}_{study.metrics[0]}")
        if len(differences):
            yield _make_section(
                f"Differences in {test} {study.metrics[0]}",
                "Differences from the first setting, the baseline, paired over the seeds,"
                " with the p-value of the paired t test.",
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
        yield _make_section(
            f"Main effects, {data}", "Mean score of all candidates with a value.", effects
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
        yield _make_section(
            "Fits",
            "All fits that were evaluated on the test set. Columns that have the same value"
            " in all rows are omitted.",
            fits.drop(columns=constant),
        )


def _make_section(title: str, text: str, frame: pd.DataFrame) -> Section:
    frame = frame.dropna(axis="columns", how="all")
    return Section(
        title,
        text,
        columns=[_LABELS.get(str(name), str(name)) for name in frame],
        is_numeric=[pd.api.types.is_numeric_dtype(frame[name]) for name in frame],
        rows=[
            [_make_cell(str(name), value) for name, value in zip(frame, row, strict=True)]
            for row in frame.itertuples(index=False)
        ],
    )


def _make_cell(column: str, value: Any) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell("", None)
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return Cell(format_label(value), None)
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return Cell(str(value), None)
    return Cell(_format_number(column, value, number), number)


def _format_number(column: str, value: Any, number: float) -> str:
    if isinstance(value, Integral) or column in _INTEGER_COLUMNS:
        return f"{number:.0f}"
    if abs(number) < 10 and not 0 < abs(number) < 0.001:
        return f"{number:.4f}"
    return f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}"
