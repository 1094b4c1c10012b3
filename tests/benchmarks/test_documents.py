"""Documents that contain results agree with the committed records."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import references
import rendering
import studies
import tables

from sklenet.study import read_study
from sklenet.study.engine.plan import plan_jobs
from sklenet.study.report.results import Results
from sklenet.study.report.tables import TABLE

ROOT = Path(__file__).parents[2]
STUDY_FILES = ROOT / "benchmarks" / "studies"
SCRIPTS = ROOT / "benchmarks"
RENDERED = tables.render_documents()


@pytest.mark.parametrize("path", RENDERED, ids=lambda p: str(p.relative_to(ROOT)))
def test_document_is_current(path):
    assert path.read_text() == RENDERED[path], "stale: run `make tables`"


def test_every_template_has_a_document():
    templates = {path.name.removesuffix(".j2") for path in rendering.TEMPLATES.iterdir()}
    of_many_pages = {"benchmarks.md", "reference.md", "study.md"}
    assert templates - of_many_pages <= {path.name for path in RENDERED}


def test_the_index_links_to_a_page_for_each_publication_and_each_study():
    index = ROOT / "benchmarks" / "README.md"
    links = re.findall(r"\]\(([^)]+)\)", RENDERED[index])
    pages = {(index.parent / link).resolve() for link in links}
    names = studies.list_studies()
    assert pages >= {rendering.RESULTS / name / "README.md" for name in names}
    assert len(pages) == len(names) + len(references.REFERENCES)
    for path in pages:
        assert "Generated from the records" in RENDERED[path]
    assert len(RENDERED[index]) < 10_000


def test_tables_of_all_studies_are_among_the_documents():
    tables_of_studies = {path for path in RENDERED if path.name == TABLE}
    assert tables_of_studies == set((ROOT / "benchmarks" / "results").glob(f"*/{TABLE}"))


@pytest.mark.parametrize("name", studies.list_studies())
def test_records_match_the_study_file_and_are_complete(name):
    results = Results(rendering.RESULTS / name)
    assert results.study == read_study(STUDY_FILES / f"{name}.toml")
    planned = [
        job.make_key(results.study)
        for data in results.study.data
        for job in plan_jobs(results.study, data, results.winner(data))
    ]
    assert [record["key"] for record in results.fit_records] == planned


def test_each_study_of_a_reference_is_in_its_table():
    files = {path.stem for path in STUDY_FILES.glob("reference_*.toml")}
    named = [name for reference in references.REFERENCES for name in reference.studies]
    assert files <= set(named)
    assert len(named) == len(set(named))
    assert all((STUDY_FILES / f"{name}.toml").is_file() for name in named)


def test_claims_of_fidelity_to_1998_name_their_tests():
    document = ROOT / "docs" / "lenet5_1998.md"
    links = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", document.read_text())
    assert len(links) >= 16
    for name, path in links:
        assert f"def {name}(" in (document.parent / path).read_text(), name


def test_winner_of_make_study_reaches_its_target():
    accuracy = rendering.read_results("digits").fits["test_accuracy"]
    assert accuracy.mean() >= 0.975


def test_readme_has_its_parts():
    text = (ROOT / "README.md").read_text()
    assert "docs/map.md" in text
    for name in ("docs/logo.svg", "docs/page.png", "docs/four_factors_shares.png"):
        assert name in text
        assert (ROOT / name).is_file()
    assert "10.1109/5.726791" in text
    for command in ("python3 -m pip", "py -m pip", "%pip", "-c constraints.txt"):
        assert command in text


def test_the_comparison_in_the_readme_has_the_recorded_outcomes():
    rows = {
        cells[0]: cells[1:]
        for line in RENDERED[ROOT / "README.md"].splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 6
    }
    columns = rows[""]
    outcomes = [r for r in rendering.read_records("features") if r["kind"] == "feature"]
    assert len(outcomes) == 3 * len({record["name"] for record in outcomes})
    for record in outcomes:
        cell = rows[record["name"]][columns.index(record["classifier"])]
        assert cell == ("yes" if record["has"] else "no"), record


@pytest.mark.parametrize(
    "path",
    sorted([*SCRIPTS.glob("documents/*.py"), *SCRIPTS.glob("measure/*.py")]),
    ids=lambda p: f"{p.parent.name}/{p.name}",
)
def test_imports_of_a_script_resolve_from_its_own_folder(path):
    """Python puts only the folder of a script on the path, unlike pytest."""
    names = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
    local = {p.stem: p.parent for p in SCRIPTS.glob("*/*.py")}
    local |= {p.stem: p.parent for p in (ROOT / "tests").glob("*.py")}
    assert {local[name] for name in names if name in local} <= {path.parent}
    assert "sys.path" not in path.read_text()


@pytest.mark.parametrize(
    "name", ["pages", "conformance", "augmentations", "features", "long_life"]
)
def test_a_measurement_explains_itself_without_running(name):
    process = subprocess.run(
        [sys.executable, f"benchmarks/measure/{name}.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("usage: ")
