"""What the generated documents have in common: their folders, templates and tables."""

from functools import cache
from pathlib import Path

import jinja2
import pandas as pd

from sklenet.study.engine.journal import Journal
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.published import format_published
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import describe
from sklenet.study.report.tables import make_difference_table, make_result_table
from sklenet.study.report.templates import make_environment
from sklenet.study.report.text import (
    format_interval,
    format_mean_sd,
    to_markdown_table,
)

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"
TEMPLATES = Path(__file__).parent / "templates"


def render_template(name: str, **values) -> str:
    """Render the template of a document.

    Parameters
    ----------
    name : str
        File name of the document, such as ``"cost.md"``.
    **values
        Variables of the template. All templates can use the filters ``literal``, ``prose``
        and ``table``, and the functions ``study_tables``, ``difference_table`` and
        ``published_table``.
    """
    return _environment().get_template(f"{name}.j2").render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = make_environment(jinja2.FileSystemLoader(TEMPLATES))
    environment.filters["table"] = _to_table
    environment.globals |= {
        "study_tables": _render_study_tables,
        "difference_table": _render_difference_table,
        "published_table": _render_published_table,
    }
    return environment


def join_words(words) -> str:
    """Join words by commas and "and"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def format_sample(percentages) -> str:
    """Return the mean and the standard deviation of percentages, if there are any."""
    if not len(percentages):
        return ""
    sample = describe(percentages)
    return format_mean_sd(sample["mean"], sample["sd"], "{:.2f}".format)


def format_differences(percentages) -> tuple[str, str]:
    """Return the mean of paired differences of percentages, and its 95% interval."""
    sample = describe(percentages, (-100, 100))
    interval = format_interval(sample["low"], sample["high"], "+.2f")
    return f"{sample['mean']:+.2f}", interval


def read_records(name: str) -> list[dict]:
    """Return the records of a measurement."""
    return list(Journal(RESULTS / name / RECORDS))


@cache
def read_results(name: str) -> Results:
    """Return the results of a study."""
    return Results(RESULTS / name)


def _to_table(rows, right=frozenset(), *, literal: bool = False) -> str:
    """Convert a data frame, or a list of dicts, to a Markdown table."""
    return to_markdown_table(pd.DataFrame(rows), frozenset(right), literal=literal)


def _render_study_tables(name: str, drop=()) -> str:
    """Render a study's test results and its comparison with published results.

    Parameters
    ----------
    name : str
        Name of the study.
    drop : list of str, default=()
        Columns of the test results that are left out.
    """
    results = read_results(name)
    table = make_result_table(results).drop(columns=list(drop))
    tables = [table, format_published(results)]
    return "\n\n".join(to_markdown_table(table) for table in tables if len(table))


def _render_difference_table(name: str) -> str:
    """Render the paired differences of a study's settings from the first one."""
    return to_markdown_table(make_difference_table(read_results(name)))


def _render_published_table(name: str) -> str:
    """Render the comparison of a study with published results."""
    return to_markdown_table(format_published(read_results(name)))
