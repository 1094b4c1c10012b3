"""The documentation: its links, paths, table of contents and examples."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
find_dead_links = runpy.run_path(str(DOCS / "check_links.py"))["find_dead_links"]

BENCHMARKS = ROOT / "benchmarks"
PAGES = sorted(
    [
        *(*DOCS.glob("*.md"), *ROOT.glob("*.md")),
        *(*BENCHMARKS.rglob("README.md"), *BENCHMARKS.glob("references/*.md")),
    ]
)
# Made by `make docs`.
BUILT = {"gallery/index.rst"}


def ids(path):
    return str(path.relative_to(ROOT))


def test_dead_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">b</a> <a href="#here"></a> <p id="here"></p>'
        '<a href="https://example.invalid/">elsewhere</a> <img src="picture%20of.png">'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    (tmp_path / "picture of.png").touch()
    assert find_dead_links(tmp_path) == []
    (tmp_path / "b.html").write_text('<a href="c.html"></a><img src="none.png">')
    assert find_dead_links(tmp_path) == [
        "a.html: b.html#there, no such anchor",
        "b.html: c.html",
        "b.html: none.png",
    ]


def anchors_of(path):
    """Return the anchors of the headings of a Markdown page."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in headings}


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_links_between_pages_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("http") or link in BUILT:
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target), link


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_files_that_a_page_names_exist(path):
    pattern = r"\b(?:benchmarks|docs|sklenet|tests)/[\w/]+\.(?:md\.j2|md|py|rst|toml)\b"
    for name in re.findall(pattern, path.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("path", sorted(DOCS.glob("examples/plot_*.py")), ids=ids)
def test_examples_download_nothing(path):
    text = path.read_text()
    assert "load_digits" in text
    assert "fetch_" not in text


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for path in (DOCS / "index.md", DOCS / "guide.md"):
        trees = re.findall(
            r"```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)```", path.read_text(), re.S
        )
        assert trees
        listed |= {name for tree in trees for name in tree.split()}
    pages = {path.stem for path in [*DOCS.glob("*.md"), *DOCS.glob("*.rst")]}
    in_folders = {name for name in listed if "/" in name}
    assert "gallery/index" in in_folders
    assert pages - {"index", "sg_execution_times"} == listed - in_folders


def test_the_glossary_defines_each_term_once_in_alphabetical_order():
    sections = re.split(r"^## .*$", (DOCS / "glossary.md").read_text(), flags=re.M)[1:]
    terms = [re.findall(r"^### (.*)$", section, re.M) for section in sections]
    for group in terms:
        assert group == sorted(group, key=str.lower)
    flat = [term for group in terms for term in group]
    assert len(set(flat)) == len(flat)
