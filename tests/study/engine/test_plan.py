"""The fits that a study plans, and the hashes by which its records are found again."""

from pathlib import Path

import pytest

from sklenet.study import StudyError, read_study
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.plan import (
    hash_search,
    hash_trials,
    make_winner,
    plan_jobs,
    select_part,
)
from sklenet.study.engine.records import RECORDS

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"

HEAD = 'name = "s"\ntitle = "t"\ndata = ["digits"]\n'
OPTUNA = """
kind = "optuna"
n_iter = 4
cv = 2
[search.grid]
lr = {loguniform = [0.001, 1]}
batch_size = {randint = [4, 12]}
pixelscaler__to = ["unit", "signed"]
"""
SETTINGS = """
[[setting]]
name = "a"
grid = { lr = [0.1, 0.2] }
[[setting]]
name = "b"
like = "a"
steps = [{ transformer = "PixelScaler", to = "unit" }]
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "s.toml"
        path.write_text(HEAD + text)
        return read_study(path)

    return read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[search.grid]\nlr = [0.1, 0.01]\n"
            'class_weight = [{0 = 2.0, "1" = 0.5}, "balanced"]\n',
            "98c3fa64a7e948e4",
        ),
        (
            '[search]\nkind = "random"\nn_iter = 4\n[search.grid]\n'
            "lr = {uniform = [1, 2]}\n"
            "momentum = {uniform = [0.1, 0.5]}\nbatch_size = {randint = [4, 12]}\n"
            'augment = ["none", ["flip"]]\n',
            "de26891a327201a5",
        ),
        (
            '[search]\nkind = "halving"\nresource = "n_samples"\n'
            "[search.grid]\nlr = [0.1, 0.01]\n",
            "ae54e235d316f579",
        ),
        (
            '[search]\nkind = "halving"\nresource = "max_epochs"\nmin_resources = 1\n'
            "max_resources = 9\nfactor = 3\n[search.grid]\nlr = [0.1, 0.01]\n",
            "52a90ccd2c2c5307",
        ),
        (
            'metrics = ["f1_macro", "accuracy"]\n'
            'steps = [{ transformer = "PixelScaler", to = "unit" }]\n[search]' + OPTUNA,
            "6e08fe414b4b1f7f",
        ),
        ('[search]\nkind = "settings"' + SETTINGS, "e860e291799177ab"),
    ],
)
def test_the_hash_of_a_search_never_changes(read, text, expected):
    assert hash_search(read(text)) == expected


def test_the_hash_of_trials_does_not_depend_on_their_number(read):
    text = 'steps = [{ transformer = "PixelScaler" }]\n[search]' + OPTUNA
    few, many = read(text), read(text.replace("n_iter = 4", "n_iter = 9"))
    assert hash_trials(few) == hash_trials(many)
    assert hash_search(few) != hash_search(many)
    assert hash_trials(few) != hash_trials(read(text.replace("12", "13")))


def test_the_trials_of_the_benchmarks_are_found_by_their_hash():
    study = read_study(BENCHMARKS / "studies" / "activation_optuna.toml")
    records = Journal(BENCHMARKS / "results" / study.name / RECORDS)
    trials = [record for record in records if record["kind"] == "trial"]
    assert trials
    assert {trial["of"] for trial in trials} == {hash_trials(study)}


def test_every_setting_is_planned_with_every_seed(read):
    jobs = list(plan_jobs(read("seeds = [3, 4]\n" + SETTINGS), "digits"))
    names = ["a, lr 0.1", "a, lr 0.2", "b, lr 0.1", "b, lr 0.2"]
    assert [(j.setting, j.seed) for j in jobs] == [(n, s) for n in names for s in (3, 4)]
    assert [len(job.pipeline) for job in jobs[::2]] == [1, 1, 2, 2]
    assert jobs[2].pipeline[-1].lr == 0.2


def test_only_the_winner_of_a_search_is_planned(read):
    study = read('steps = [{ transformer = "PixelScaler" }]\n[search]' + OPTUNA)
    assert list(plan_jobs(study, "digits")) == []
    params = {"lr": 0.5, "batch_size": 5, "pixelscaler__to": "signed"}
    winner = make_winner(study, "digits", params)
    (job,) = plan_jobs(study, "digits", winner)
    assert (job.setting, job.seed) == ("winner", 0)
    assert (job.pipeline[0].to, job.pipeline[-1].lr) == ("signed", 0.5)


def test_a_part_has_the_selected_settings(read):
    study = read(SETTINGS)
    part = select_part(study, ["digits"], ["b, lr 0.2"])
    (job,) = plan_jobs(part, "digits")
    planned = {one.setting: one.make_key(study) for one in plan_jobs(study, "digits")}
    assert job.make_key(part) == planned["b, lr 0.2"]
    assert select_part(study, [], []) == study


@pytest.mark.parametrize(
    ("text", "data", "settings", "message"),
    [
        (SETTINGS, ["mnist"], [], "--data 'mnist' is not in this study. Known: digits"),
        (SETTINGS, [], ["a"], "--setting 'a' is not in this study.* Known: a, lr 0.1"),
        ("", [], ["a"], r"this study has no \[\[setting\]\]"),
        ("[search.grid]\nlr = [0.1, 0.2]\n", [], ["a"], "this study has a search"),
    ],
)
def test_a_part_that_the_study_does_not_have_is_an_error(
    read, text, data, settings, message
):
    with pytest.raises(StudyError, match=message):
        select_part(read(text), data, settings)
