"""Documents that hold figures are what the committed records make of them."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLES = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))


@pytest.mark.parametrize("path", TABLES["render"](), ids=lambda p: str(p.relative_to(ROOT)))
def test_document_is_current(path):
    assert path.read_text() == TABLES["render"]()[path], "stale: run `make tables`"


@pytest.mark.parametrize("folder", TABLES["_studies"](), ids=lambda p: p.name)
def test_table_of_each_study_is_current(folder):
    text = (folder / "table.md").read_text()
    assert text == TABLES["markdown"](TABLES["load"](folder))


def test_the_winner_of_make_study_reaches_its_target():
    fits = [r for r in TABLES["load"](TABLES["RESULTS"] / "digits") if r["kind"] == "fit"]
    assert sum(fit["test_accuracy"] for fit in fits) / len(fits) >= 0.975


def test_the_map_of_the_code_is_linked():
    assert "docs/map.md" in (ROOT / "README.md").read_text()
