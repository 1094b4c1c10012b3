"""The pages: what `make docs` cannot tell by itself."""

import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
CHECK = runpy.run_path(str(DOCS / "check_links.py"))


def test_dead_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">b</a> <a href="#here"></a> <p id="here"></p>'
        '<a href="https://example.invalid/">elsewhere</a> <img src="picture%20of.png">'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    (tmp_path / "picture of.png").touch()
    assert CHECK["dead_links"](tmp_path) == []
    (tmp_path / "b.html").write_text('<a href="c.html"></a><img src="none.png">')
    assert CHECK["dead_links"](tmp_path) == [
        "a.html: b.html#there, no such place",
        "b.html: c.html",
        "b.html: none.png",
    ]


@pytest.mark.parametrize(
    "path", sorted(DOCS.glob("examples/plot_*.py")), ids=lambda p: p.stem
)
def test_examples_use_what_comes_with_scikit_learn(path):
    text = path.read_text()
    assert "load_digits" in text
    assert "fetch_" not in text  # nothing to download


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for path in (DOCS / "index.md", DOCS / "guide.md"):
        (tree,) = re.findall(
            r"```\{toctree\}\n:hidden:\n\n(.*?)```", path.read_text(), re.S
        )
        listed |= set(tree.split())
    pages = {path.stem for path in [*DOCS.glob("*.md"), *DOCS.glob("*.rst")]}
    assert pages - {"index", "sg_execution_times"} == listed - {"gallery/index"}
