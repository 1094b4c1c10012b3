"""The model of a winner, the probabilities of fits, and their committees."""

import json

import numpy as np
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.metrics import log_loss

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.preprocessing import Inverter
from sklenet.study import read_study, run_study
from sklenet.study.engine.outputs import MODEL, PROBABILITIES
from sklenet.study.engine.plan import select_part
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.page import write_page
from sklenet.study.report.results import Results
from sklenet.study.report.tables import render_tables, write_tables

pytest.importorskip("matplotlib")

HEAD = 'name = "s"\ntitle = "t"\ndata = ["digits"]\n'
QUICK = "[estimator]\nmax_epochs = 1\nbatch_size = 128\n"
SEARCH = "[search]\ncv = 2\ngrid = { lr = [0.002, 0.00001] }\n"
TEST = load_digits(subset="test", return_X_y=True)


@pytest.fixture
def run(tmp_path):
    def run(text, **options):
        path = tmp_path / "s.toml"
        path.write_text(HEAD + text)
        study = read_study(path)
        if "part" in options:
            options["part"] = select_part(study, [], options["part"])
        return Results(run_study(study, tmp_path, **options))

    return run


def fit(seed, **parameters):
    parameters = {"max_epochs": 1, "batch_size": 128, "random_state": seed} | parameters
    return LeNet5Classifier(**parameters).fit(*load_digits(return_X_y=True))


def test_the_winner_of_a_search_is_saved(run):
    results = run(f"seeds = [3, 4]\n{QUICK}{SEARCH}")
    path = results.folder / MODEL.format("digits")
    assert path.name == "winner_digits.sklenet"
    model = LeNet5Classifier.load(path)
    # The fit with the first seed, whose score is that of the record.
    assert model.score(*TEST) == results.fits["test_accuracy"][0]
    assert np.array_equal(
        model.predict_proba(TEST[0]), fit(3, lr=0.002).predict_proba(TEST[0])
    )
    assert (model.framing, model.verbose) == ("digit", 0)
    before = path.read_bytes()
    run(f"seeds = [3, 4]\n{QUICK}{SEARCH}")
    assert path.read_bytes() == before
    # Without the file, the results are as valid as before, and no fit is repeated.
    path.unlink()
    again = run(f"seeds = [3, 4]\n{QUICK}{SEARCH}")
    assert again.fits.equals(results.fits)
    assert not path.exists()


def test_the_model_of_an_earlier_winner_is_not_kept(run):
    first = run(QUICK + SEARCH)
    path = first.folder / MODEL.format("digits")
    other = SEARCH.replace("0.002", "0.004")
    run(QUICK + other, keep=True)
    assert LeNet5Classifier.load(path).lr == 0.004
    run(QUICK + SEARCH, keep=True)  # whose fits are in the journal
    assert not path.exists()


def test_there_is_no_model_without_a_winner_that_is_a_classifier_alone(run):
    steps = "steps = [{ transformer = 'Inverter', maximum = 16 }]\n"
    for text in (QUICK, steps + QUICK + SEARCH):
        folder = run(text, keep=True).folder
        assert not list(folder.glob("*.sklenet"))


TESTS = """
metrics = ["accuracy", "neg_log_loss"]
[[test]]
name = "negatives"
steps = [{ transformer = "Inverter", maximum = 16 }]
"""


def test_a_committee_predicts_the_mean_of_the_probabilities(run):
    results = run(f"seeds = [0, 1, 2]\n{TESTS}{QUICK}")
    (row,) = results.committees.to_dict("records")
    assert (row["data"], row["setting"], row["n"]) == ("digits", "estimator", 3)
    X, y = TEST
    members = [fit(seed) for seed in range(3)]
    for test, images in (("test", X), ("negatives", Inverter(maximum=16).transform(X))):
        mean = np.mean([member.predict_proba(images) for member in members], axis=0)
        assert row[f"{test}_accuracy"] == pytest.approx((mean.argmax(axis=1) == y).mean())
        loss = log_loss(y, mean, labels=range(10))
        assert row[f"{test}_neg_log_loss"] == pytest.approx(-loss, rel=1e-4)


def test_committees_are_rows_of_the_tables_and_the_page(run):
    text = "seeds = [0, 1]\n[[setting]]\nname = 'a'\n[[setting]]\nname = 'b'\n"
    results = run(f"{text}estimator = {{ lr = 0.01 }}\n{QUICK}")
    table = write_tables(results)
    (row,) = [line for line in table.splitlines() if "| b, committee " in line]
    assert f"| {results.committees['test_accuracy'][1]:.4f} " in row
    assert "the mean of the probabilities of all seeds" in table
    assert "b, committee" in (results.folder / "table.tex").read_text()
    assert (results.folder / "committees.csv").exists()
    page = (results.folder / write_page(results)).read_text()
    assert "<h2>Committees</h2>" in page
    # Scored and recorded once.
    again = run(f"{text}estimator = {{ lr = 0.01 }}\n{QUICK}")
    kinds = [record["kind"] for record in again.records]
    assert kinds.count("committee") == 2


def test_a_committee_has_all_seeds_or_is_not_shown(run):
    text = f"seeds = [0, 1]\n{QUICK}"
    results = run(text)
    assert len(results.committees) == 1
    more = run(text.replace("[0, 1]", "[0, 1, 2]"), keep=True)
    assert more.committees["n"].tolist() == [3]
    # As in records that were made before there were committees.
    lines = (more.folder / RECORDS).read_text().splitlines()
    old = [line for line in lines if json.loads(line)["kind"] != "committee"]
    (more.folder / RECORDS).write_text("\n".join(old) + "\n")
    for path in (more.folder / PROBABILITIES).iterdir():
        path.unlink()
    again = run(text.replace("[0, 1]", "[0, 1, 2]"))
    assert again.committees.empty
    assert "committee" not in render_tables(again)


def test_a_single_seed_and_a_failed_fit_have_no_committee(run):
    assert run(QUICK).committees.empty
    text = "seeds = [0, 1]\n" + QUICK + "lr = 1e30\noptimizer = 'sgd'\n"
    assert run(text, keep=True).committees.empty


def test_damaged_probabilities_are_ignored(run):
    settings = "[[setting]]\nname = 'a'\n[[setting]]\nname = 'b'\nseeds = [0, 1]\n"
    settings = f"seeds = [0, 1]\n{settings}estimator = {{ lr = 0.01 }}\n{QUICK}"
    results = run(settings, part=["a"])
    assert results.committees["setting"].tolist() == ["a"]
    lines = (results.folder / RECORDS).read_text().splitlines()
    assert json.loads(lines[-1])["kind"] == "committee"
    (results.folder / RECORDS).write_text("\n".join(lines[:-1]) + "\n")
    path = sorted((results.folder / PROBABILITIES).iterdir())[0]
    path.write_bytes(path.read_bytes()[:100])
    again = run(settings)
    assert again.committees["setting"].tolist() == ["b"]


def test_a_voting_classifier_is_the_same_committee(digits):
    X, y, X_test, _ = digits
    members = [
        (f"seed {seed}", LeNet5Classifier(max_epochs=1, batch_size=64, random_state=seed))
        for seed in range(3)
    ]
    voting = VotingClassifier(members, voting="soft").fit(X, y)
    mean = np.mean([m.predict_proba(X_test) for m in voting.estimators_], axis=0)
    assert voting.predict_proba(X_test) == pytest.approx(mean)
    alone = members[1][1].fit(X, y)
    assert voting.estimators_[1].predict_proba(X_test) == pytest.approx(
        alone.predict_proba(X_test)
    )
    assert np.array_equal(voting.predict(X_test), voting.classes_[mean.argmax(axis=1)])
