"""Documents that hold figures are what the committed records make of them."""

import re
import runpy
from pathlib import Path

import pytest

from sklenet.study import read_study
from sklenet.study.engine.plan import jobs
from sklenet.study.report.results import Results

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "benchmarks" / "studies"
TABLES = runpy.run_path(str(ROOT / "benchmarks" / "documents" / "tables.py"))


RENDERED = TABLES["render"]()


@pytest.mark.parametrize("path", RENDERED, ids=lambda p: str(p.relative_to(ROOT)))
def test_document_is_current(path):
    assert path.read_text() == RENDERED[path], "stale: run `make tables`"


@pytest.mark.parametrize("folder", TABLES["_studies"](), ids=lambda p: p.name)
def test_table_of_each_study_is_current(folder):
    text = (folder / "table.md").read_text()
    assert text == TABLES["render_tables"](Results(folder))


@pytest.mark.parametrize("folder", TABLES["_studies"](), ids=lambda p: p.name)
def test_records_are_of_the_study_as_it_is_and_complete(folder):
    results = Results(folder)
    assert results.study == read_study(STUDIES / f"{folder.name}.toml")
    planned = [
        job.key(results.study)
        for data in results.study.data
        for job in jobs(results.study, data, results.winner(data))
    ]
    assert [record["key"] for record in results.fit_records] == planned


def test_each_study_of_a_reference_is_in_its_table():
    references = TABLES["references"].REFERENCES
    files = {path.stem for path in STUDIES.glob("reference_*.toml")}
    named = [name for reference in references for name in reference.studies]
    assert files <= set(named)
    assert len(named) == len(set(named))
    assert all((STUDIES / f"{name}.toml").is_file() for name in named)


def test_what_is_said_to_be_faithful_to_1998_names_its_test():
    document = ROOT / "docs" / "lenet5_1998.rst"
    links = re.findall(r"`(test_\w+) <(\S+)>`__", document.read_text())
    assert len(links) >= 15
    for name, path in links:
        assert f"def {name}(" in (document.parent / path).read_text(), name


def test_the_winner_of_make_study_reaches_its_target():
    accuracy = Results(TABLES["RESULTS"] / "digits").fits["test_accuracy"]
    assert accuracy.mean() >= 0.975


def test_the_map_of_the_code_is_linked():
    assert "docs/map.md" in (ROOT / "README.md").read_text()
