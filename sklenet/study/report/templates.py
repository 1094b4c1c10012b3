"""Jinja templates, from which reports and documents are rendered."""

from functools import cache

import jinja2

from sklenet._utils.printable import make_printable
from sklenet.study.report.text import escape_html, escape_markdown, to_markdown_table


def make_environment(loader: jinja2.BaseLoader) -> jinja2.Environment:
    """Return an environment for templates of Markdown and HTML.

    Values in HTML templates are escaped. For Markdown, there are the filters ``literal``,
    ``prose`` and ``table``, which convert names, notes and data frames. A variable that is
    undefined raises an error.

    Parameters
    ----------
    loader : jinja2.BaseLoader
        Where the templates are.
    """
    environment = jinja2.Environment(
        loader=loader,
        autoescape=jinja2.select_autoescape(["html.j2"], default=False),
        undefined=jinja2.StrictUndefined,
        finalize=_make_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "literal": escape_markdown,
        "prose": escape_html,
        "table": to_markdown_table,
    }
    return environment


@cache
def _environment() -> jinja2.Environment:
    return make_environment(jinja2.PackageLoader("sklenet.study.report", ""))


def render_template(name: str, **values) -> str:
    """Render a template of this package.

    Parameters
    ----------
    name : str
        File name of the template, such as ``"table.md.j2"``.
    **values
        Variables of the template.
    """
    return _environment().get_template(name).render(**values)


def _make_printable(value):
    return make_printable(value, keep="\n") if isinstance(value, str) else value
