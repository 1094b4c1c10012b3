"""One HTML file with a study's tables and pictures, which needs no network."""

import base64
import importlib.resources
import io
import json
import math
from numbers import Integral
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from sklenet._utils.printable import printable
from sklenet.study.config.spec import to_plain
from sklenet.study.engine.fit import class_names
from sklenet.study.report.figures import draw_data
from sklenet.study.report.files import Files
from sklenet.study.report.published import published_rows
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import per_class
from sklenet.study.report.tables import setting_text

PAGE = "report.html"

_DPI = 110
# What an older or incomplete record of a run may lack.
_RUN: dict = {"command": None, "started": "", "revision": None, "versions": {}}
_MACHINE = {"cpu": "", "cores": None, "system": "", "cuda": None}
_FEW_ROWS = 6
_COUNTS = {"epochs", "best_epoch", "n", "failed", "seed", "n_test", "rank"}


class Cell(NamedTuple):
    """A cell: its text, and the number it is sorted by, None where it is sorted as text."""

    text: str
    value: float | None


class Section(NamedTuple):
    """A table under its heading."""

    title: str
    text: str
    frame: dict[str, Any]

    @property
    def filter(self) -> bool:
        """Whether there are enough rows to look for some."""
        return len(self.frame["rows"]) > _FEW_ROWS


def write_page(results: Results, files: Files | None = None) -> str:
    """Write the page and the figures, as PNG and SVG, into the study's folder.

    Parameters
    ----------
    results : Results
    files : Files, optional
        Where errors are noted; each file is written whatever becomes of the others.

    Returns
    -------
    str
        The page's path.

    Raises
    ------
    StudyError
        Without `files`, if a file could not be made or written; the others have been.
    """
    own = Files(results.folder) if files is None else files
    pictures = []
    for data in results.study.data:
        try:
            found = list(draw_data(results, data))
        except Exception as error:
            own.errors.append(f"figures of {data}: {type(error).__name__}: {error}")
            continue
        for name, caption, make in found:
            picture = _save(own, name, make)
            if picture is not None:
                pictures.append({"caption": caption} | picture)
    own.write(PAGE, lambda: _render(results, pictures))
    if files is None:
        own.check()
    return str(results.folder / PAGE)


def _save(files: Files, name: str, make) -> dict | None:
    """Write a figure as SVG and PNG; return what the page needs of it."""
    import matplotlib.pyplot as plt

    def save(**options) -> bytes:
        content = io.BytesIO()
        figure.savefig(content, **options)
        return content.getvalue()

    # Without dates and random names the same records make the same bytes; TeX would
    # take names for commands.
    with plt.rc_context({"svg.hashsalt": name, "text.usetex": False}):
        open_before = set(plt.get_fignums())
        try:
            figure = make()
            files.write(f"{name}.svg", lambda: save(format="svg", metadata={"Date": None}))
            png = save(format="png", dpi=_DPI)
            width, height = (round(side * _DPI) for side in figure.get_size_inches())
        except Exception as error:
            files.errors.append(f"{name}: {type(error).__name__}: {error}")
            return None
        finally:
            for number in set(plt.get_fignums()) - open_before:
                plt.close(number)
    files.write(f"{name}.png", lambda: png)
    data = base64.b64encode(png).decode()
    return {"data": data, "width": width, "height": height}


def _finalize(value):
    """Make text of names in a page printable."""
    return printable(value, keep="\n") if isinstance(value, str) else value


def _render(results: Results, pictures: list[dict]) -> str:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, finalize=_finalize)
    environment.undefined = jinja2.StrictUndefined
    source = importlib.resources.files("sklenet.study.report").joinpath("page.html")
    study = results.study
    fits = results.fit_records
    seconds = sum(r.get("seconds") or 0 for r in results.records)
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        study=study,
        runs=[
            _RUN | run | {"machine": _MACHINE | run.get("machine", {})}
            for run in results.runs
        ],
        n_done=len(fits),
        n_planned=len(results.jobs),
        n_unasked=results.n_unasked,
        n_folds=len(results.folds),
        hours=seconds / 3600,
        sections=list(_sections(results)),
        pictures=pictures,
        study_text=json.dumps(_given(to_plain(study)), indent=2),
        parameters=json.dumps(fits[0]["params"], indent=2) if fits else "none yet",
    )


def _given(value):
    """Return the study without the keys that are empty."""
    if isinstance(value, dict):
        return {k: _given(v) for k, v in value.items() if v not in (None, "", [], {})}
    return [_given(item) for item in value] if isinstance(value, list) else value


def _sections(results: Results):
    study = results.study
    if len(results.summary):
        names = [
            setting_text(results, row["data"], row["setting"])
            for _, row in results.summary.iterrows()
        ]
        named = results.summary.assign(setting=names)
        yield Section(
            "Tests",
            "Means over seeds, with Student's 95 % interval of the mean. Figures at the"
            " best epoch are of the epoch with the lowest validation loss.",
            _frame(named),
        )
        for test in study.tests:
            compared = results.compare(f"{test}_{study.metrics[0]}")
            if len(compared):
                yield Section(
                    f"Differences, {test} {study.metrics[0]}",
                    "Of each setting from the first one, paired over seeds; p of the"
                    " paired t test.",
                    _frame(compared),
                )
    published = published_rows(results)
    if len(published):
        yield Section("Published figures", "", _frame(published))
    for data in study.data:
        if data in results.searches:
            yield Section(
                f"Candidates, {data}",
                f"{study.metrics[0]} in cross-validation; the difference from the best, or"
                " from the first setting, paired over the folds, with its 95 % interval,"
                " rough since the folds' training images overlap.",
                _frame(results.candidates(data)),
            )
            effects = results.main_effects(data)
            if len(effects):
                yield Section(f"Main effects, {data}", "", _frame(effects))
    for data in study.data:
        tested = results.tested(data)
        if not tested:
            continue
        setting = tested[0]["setting"]
        yield Section(
            f"Classes, {data}",
            f"On the test images, {setting_text(results, data, setting)}, the sum of"
            f" {len(tested)} seeds.",
            _frame(per_class(results.confusion(data, setting), class_names(data))),
        )
    failed = [r for r in results.fit_records if "error" in r]
    if failed:
        columns = ["data", "setting", "seed", "error"]
        frame = pd.DataFrame([{name: r[name] for name in columns} for r in failed])
        yield Section("Failed fits", "", _frame(frame))
    fixed = [name for name in results.fits if results.fits[name].map(str).nunique() < 2]
    kept = ("data", "setting", "seed")
    shown = results.fits.drop(columns=[name for name in fixed if name not in kept])
    if len(shown):
        yield Section(
            "Tested fits", "Columns that are the same in all are left out.", _frame(shown)
        )


def _frame(frame: pd.DataFrame) -> dict[str, Any]:
    frame = frame.dropna(axis="columns", how="all")
    right = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame]
    rows = [
        [_cell(str(name), value) for name, value in zip(frame, row, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    return {"columns": list(frame), "right": right, "rows": rows}


def _cell(column: str, value) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell("", None)
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return Cell(str(value), None)
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return Cell(str(value), None)
    if isinstance(value, Integral) or column in _COUNTS:
        return Cell(f"{number:.0f}", number)
    if abs(number) < 10 and not 0 < abs(number) < 0.001:
        return Cell(f"{number:.4f}", number)
    return Cell(f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}", number)
