import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.study import read_study, run_study
from sklenet.study.report import CURVES, TABLE, load, markdown, report

STUDY = """
name = "small"
title = "A small study"
data = ["digits"]
seeds = [0, 1]

[estimator]
max_epochs = 2

[search]
cv = 2

[search.grid]
activation = ["relu", "tanh"]
init = ["he_uniform", "torch"]

[[published]]
data = "digits"
source = "somebody"
accuracy = 0.75
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("study")
    (path / "small.toml").write_text(STUDY)
    return run_study(read_study(path / "small.toml"), path / "results")


def test_candidates_are_grid_search_cvs(folder):
    candidates = [r for r in load(folder) if r["kind"] == "candidate"]
    search = GridSearchCV(
        LeNet5Classifier(max_epochs=2, random_state=0),
        {"activation": ["relu", "tanh"], "init": ["he_uniform", "torch"]},
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
    ).fit(*load_digits(return_X_y=True))
    assert [c["params"] for c in candidates] == search.cv_results_["params"]
    assert np.array_equal(
        [c["mean_accuracy"] for c in candidates], search.cv_results_["mean_test_score"]
    )


def test_the_winner_is_trained_per_seed_and_tested(folder):
    records = load(folder)
    best = min((r for r in records if r["kind"] == "candidate"), key=lambda r: r["rank"])
    fits = [r for r in records if r["kind"] == "fit"]
    assert [fit["seed"] for fit in fits] == [0, 1]
    for fit in fits:
        assert fit["params"].items() >= best["params"].items()
        assert len(fit["history"]) == 2
        assert (fit["n_train"], fit["n_test"]) == (1437, 360)
        assert fit["seconds"] > 0
        parameters = fit["params"] | {"random_state": fit["seed"]}
        again = LeNet5Classifier(**parameters).fit(*load_digits(return_X_y=True))
        test = load_digits(subset="test", return_X_y=True)
        assert fit["test_accuracy"] == again.score(*test)


def test_the_first_record_says_where_all_come_from(folder):
    run = load(folder)[0]
    assert run["kind"] == "run"
    assert run["study"]["name"] == "small"
    assert {"torch", "scikit-learn", "sklenet"} <= run["versions"].keys()
    assert {"cpu", "cores", "system"} <= run["machine"].keys()
    assert "revision" in run


def test_report(folder):
    text = report(folder)
    assert (folder / TABLE).read_text() == text == markdown(load(folder))
    assert (folder / CURVES).read_bytes().startswith(b"\x89PNG")
    accuracy = np.mean([r["test_accuracy"] for r in load(folder) if r["kind"] == "fit"])
    assert f"{accuracy:.4f}" in text
    assert "somebody" in text
    assert "0.7500" in text
    ranks = [line.split("|")[1].strip() for line in text.splitlines() if "relu" in line]
    assert {"1", "2", "3", "4"} >= set(ranks[:2])
