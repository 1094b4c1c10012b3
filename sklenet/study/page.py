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

from sklenet.study.fit import class_names
from sklenet.study.pictures import draw
from sklenet.study.published import published_rows
from sklenet.study.report import setting_text
from sklenet.study.results import Results
from sklenet.study.spec import to_plain
from sklenet.study.statistics import per_class

PAGE = "report.html"

_DPI = 110
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


def write_page(results: Results) -> str:
    """Write the page and the pictures, as PNG and SVG, into the study's folder.

    Returns
    -------
    str
        The page's path.
    """
    pictures = []
    for name, caption, make in draw(results):
        pictures.append({"caption": caption} | _save(results, name, make))
    path = results.folder / PAGE
    path.write_text(_render(results, pictures), encoding="utf-8")
    return str(path)


def _save(results: Results, name: str, make) -> dict:
    import matplotlib.pyplot as plt

    figure = make()
    try:
        # Without dates and random names the same records make the same bytes.
        with plt.rc_context({"svg.hashsalt": name}):
            figure.savefig(results.folder / f"{name}.svg", metadata={"Date": None})
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=_DPI)
        width, height = (round(side * _DPI) for side in figure.get_size_inches())
    finally:
        plt.close(figure)
    (results.folder / f"{name}.png").write_bytes(png.getvalue())
    data = base64.b64encode(png.getvalue()).decode()
    return {"data": data, "width": width, "height": height}


def _render(results: Results, pictures: list[dict]) -> str:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    environment.undefined = jinja2.StrictUndefined
    source = importlib.resources.files("sklenet.study").joinpath("page.html")
    study = results.study
    fits = results.fit_records
    seconds = sum(r.get("seconds") or 0 for r in results.records)
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        study=study,
        runs=[{"command": None} | run for run in results.runs],
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
    for data in dict.fromkeys(r["data"] for r in results.fit_records if "tests" in r):
        done = [r for r in results.fit_records if r["data"] == data and "tests" in r]
        setting = done[0]["setting"]
        n = sum(record["setting"] == setting for record in done)
        yield Section(
            f"Classes, {data}",
            f"On the test images, {setting_text(results, data, setting)}, the sum of {n}"
            " seeds.",
            _frame(per_class(results.confusion(data, setting), class_names(data))),
        )
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
    number = float(value)
    if isinstance(value, Integral) or column in _COUNTS:
        return Cell(f"{number:.0f}", number)
    if abs(number) < 10 and not 0 < abs(number) < 0.001:
        return Cell(f"{number:.4f}", number)
    return Cell(f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}", number)
