"""The lessons are complete notebooks, and notebooks show what sklenet returns."""

import re
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

LESSONS = sorted(
    path
    for path in (Path(__file__).parents[1] / "docs" / "lessons").glob("*.md")
    if path.stem != "index"
)


def test_there_are_five():
    assert len(LESSONS) == 5


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_complete(path, tmp_path):
    notebook = jupytext.read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # The first cell installs, and is not executed when the pages are built.
    assert "%pip install" in code[0].source
    assert "skip-execution" in code[0].metadata["tags"]
    text = path.read_text()
    asked = set(re.findall(r"\*\*Question (\d)\.\*\*", text.split("## Answers")[0]))
    answered = re.findall(r"\*\*Question ([\d and]+)\.\*\*", text.split("## Answers")[1])
    assert len(asked) >= 3
    assert asked == set(re.findall(r"\d", " ".join(answered)))
    assert "## Your turn" in text
    assert re.search(r"<details>\n<summary>.*</details>\s*$", text, re.DOTALL)
    for cell in code[1:]:
        if not re.search(r"^\s*[%!]", cell.source, re.MULTILINE):
            compile(cell.source, str(path), "exec")
    # It can be downloaded as a notebook.
    jupytext.write(notebook, tmp_path / "lesson.ipynb")
    nbformat.validate(nbformat.read(tmp_path / "lesson.ipynb", as_version=4))


def test_a_notebook_shows_the_estimator_its_progress_and_the_page():
    cells = [
        "from sklenet import LeNet5Classifier\n"
        "from sklenet.datasets import load_digits\n"
        "X, y = load_digits(return_X_y=True)\n"
        "classifier = LeNet5Classifier(maps=(2, 3), max_epochs=2, verbose=1)",
        "classifier",
        "classifier.fit(X[:100], y[:100])",
        "classifier.to_html()",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    _, shown, fitted, page = (cell.outputs for cell in notebook.cells)
    assert "LeNet5Classifier" in shown[0].data["text/html"]
    assert "sk-estimator" in shown[0].data["text/html"]
    # The progress is text or a bar, besides the fitted estimator.
    assert len(fitted) >= 2
    assert any("text/html" in output.get("data", {}) for output in fitted)
    assert '<iframe title="Networks to draw on"' in page[0].data["text/html"]
