import json
from pathlib import Path

import pytest

from sklenet import LeNet5Classifier
from sklenet.cli import main
from sklenet.datasets import load_digits

SMALL = {"max_epochs": 1, "maps": (2, 3), "hidden": (12,), "random_state": 0}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    X, y = load_digits(return_X_y=True)
    for name in ("first", "second"):
        LeNet5Classifier(**SMALL).fit(X[:200], y[:200]).save(folder / f"{name}.sklenet")
    return [str(folder / "first.sklenet"), str(folder / "second.sklenet")]


def read_content(page):
    text = page.read_text()
    start = text.index(">", text.index('id="content"')) + 1
    return json.loads(text[start : text.index("</script>", start)])


def test_models_are_shown_side_by_side(models, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["page", *models, "--out", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == ["first", "second"]
    groups = read_content(page)["groups"]
    assert [group["name"] for group in groups] == ["first", "second"]
    assert [len(group["states"]) for group in groups] == [1, 1]


def test_states_of_one_training_are_one_group(models, tmp_path, capsys):
    page = tmp_path / "page.html"
    arguments = ["page", *models, "--out", str(page), "--states", "--title", "a <b>"]
    assert main(arguments) == 0
    assert "2 models" in capsys.readouterr().out
    (group,) = read_content(page)["groups"]
    assert [state["name"] for state in group["states"]] == ["first", "second"]
    assert "a &lt;b&gt;" in page.read_text()


def test_one_model_is_counted_in_the_singular(models, tmp_path, capsys):
    assert main(["page", models[0], "--out", str(tmp_path / "page.html")]) == 0
    assert ": 1 model, " in capsys.readouterr().out


def test_to_html_writes_the_same_network(models, tmp_path):
    LeNet5Classifier.load(models[0]).to_html(tmp_path / "one.html")
    main(["page", models[0], "--out", str(tmp_path / "page.html"), "--quiet"])
    one, page = (read_content(tmp_path / name) for name in ("one.html", "page.html"))
    assert (
        one["groups"][0]["states"][0]["layers"] == page["groups"][0]["states"][0]["layers"]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.sklenet"], "no such file"),
        (["MODEL", "MODEL"], "another model is called 'first'"),
    ],
)
def test_wrong_models_are_named(models, tmp_path, capsys, arguments, message):
    names = [models[0] if name == "MODEL" else name for name in arguments]
    assert main(["page", *names, "--out", str(tmp_path / "page.html")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_out_must_be_a_regular_file(models, tmp_path, capsys):
    assert main(["page", models[0], "--out", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_page_never_replaces_a_model(models, tmp_path, capsys):
    content = Path(models[0]).read_bytes()
    (tmp_path / "link").symlink_to(models[0])
    for out in (models[0], str(tmp_path / "link")):
        assert main(["page", *models, "--out", out]) == 2
        assert f"--out {out}: this would replace {models[0]}" in capsys.readouterr().err
    assert Path(models[0]).read_bytes() == content
