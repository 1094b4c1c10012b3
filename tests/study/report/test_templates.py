import jinja2
import pandas as pd
import pytest

from sklenet.study.report.templates import make_environment


@pytest.fixture
def render():
    """Function that renders a template, given by its file name and source."""

    def render(name, source, **values):
        environment = make_environment(jinja2.DictLoader({name: source}))
        return environment.get_template(name).render(**values)

    return render


def test_undefined_variables_are_errors(render):
    with pytest.raises(jinja2.UndefinedError, match="'missing' is undefined"):
        render("a.md.j2", "{{ missing }}")


def test_values_are_escaped_in_html_only(render):
    assert render("a.html.j2", "<p>{{ x }}</p>", x="<b>") == "<p>&lt;b&gt;</p>"
    assert render("a.md.j2", "{{ x }}", x="a & b") == "a & b"


@pytest.mark.parametrize("name", ["a.html.j2", "a.md.j2"])
def test_control_characters_are_printable(render, name):
    assert render(name, "{{ x }}", x="\x1b[31m\n") == "\\x1b[31m\n"


def test_filters_convert_names_notes_and_tables_to_markdown(render):
    assert render("a.md.j2", "{{ x | literal }}", x="`<b>`") == "\\`&lt;b>\\`"
    assert render("a.md.j2", "{{ x | prose }}", x="`a` <b>") == "`a` &lt;b>"
    frame = pd.DataFrame({"name": ["<b>"]})
    expected = "| name   |\n|:-------|\n| &lt;b> |"
    assert render("a.md.j2", "{{ x | table }}", x=frame) == expected


def test_lines_with_blocks_only_leave_no_blank_lines(render):
    source = "{% for x in xs %}\n    - {{ x }}\n{% endfor %}\nend\n"
    assert render("a.md.j2", source, xs=[1, 2]) == "    - 1\n    - 2\nend\n"
