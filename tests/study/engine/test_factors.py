"""Grids over steps, class weights and augmentation, in every kind of search."""

import json

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.preprocessing import Inverter, PixelScaler
from sklenet.study import Study, read_study, run_study
from sklenet.study.engine.plan import plan_jobs, select_part
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.page import write_page
from sklenet.study.report.results import Results
from sklenet.study.report.tables import render_tables

HEAD = """
name = "factors"
title = "t"
data = ["digits"]
steps = [{ transformer = "Inverter", maximum = 16 }, { transformer = "PixelScaler" }]
[estimator]
max_epochs = 1
batch_size = 256
"""
FOLDS = StratifiedKFold(2, shuffle=True, random_state=0)

# Each factor as a study file has it, and as scikit-learn does.
FACTORS = {
    "inverter": (
        '["Inverter", "passthrough", { transformer = "Inverter", maximum = 20 }]',
        [Inverter(maximum=16), "passthrough", Inverter(maximum=20)],
        ["Inverter", "passthrough", "Inverter(maximum=20)"],
    ),
    "pixelscaler__to": ('["unit", "signed"]', ["unit", "signed"], ["unit", "signed"]),
    "class_weight": (
        '["none", "balanced", { 0 = 2.0, 3 = 0.5 }]',
        [None, "balanced", {0: 2.0, 3: 0.5}],
        ["None", "balanced", "{0: 2.0, 3: 0.5}"],
    ),
    "augment": (
        '["none", ["flip"], ["invert", { shift = 1 }], ["invert", { shift = 2 }]]',
        [None, ["flip"], ["invert", {"shift": 1}], ["invert", {"shift": 2}]],
        ["None", "[flip]", "[invert, {shift: 1}]", "[invert, {shift: 2}]"],
    ),
    "hidden": ("[[16], [8, 8]]", [[16], [8, 8]], ["[16]", "[8, 8]"]),
}
# Those of the searches that need not have all values.
GRID = """
inverter = ["passthrough", "Inverter"]
class_weight = ["none", { 0 = 2.0 }]
augment = [["flip"], ["invert", { shift = 1 }]]
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "factors.toml"
        is_resource = 'resource = "max_epochs"' in text
        head = HEAD.replace("max_epochs = 1\n", "") if is_resource else HEAD
        path.write_text(head + text)
        return read_study(path)

    return read


@pytest.fixture
def run(read, tmp_path):
    return lambda text, **options: Results(run_study(read(text), tmp_path, **options))


def make_scikit_learn_pipeline():
    classifier = LeNet5Classifier(max_epochs=1, batch_size=256, random_state=0)
    steps = [("inverter", Inverter(maximum=16)), ("pixelscaler", PixelScaler())]
    return Pipeline([*steps, ("classifier", classifier)])


@pytest.mark.parametrize("name", FACTORS)
def test_a_factor_has_the_scores_of_scikit_learn(run, name):
    text, values, labels = FACTORS[name]
    results = run(f"[search]\ncv = 2\ngrid = {{ {name} = {text} }}\n")
    is_of_step = name.startswith(("inverter", "pixelscaler"))
    search = GridSearchCV(
        make_scikit_learn_pipeline(),
        {name if is_of_step else f"classifier__{name}": values},
        cv=FOLDS,
        refit=False,
    ).fit(*load_digits(return_X_y=True))
    ours = results.cv_results("digits")
    assert np.array_equal(ours["mean_test_score"], search.cv_results_["mean_test_score"])
    assert results.main_effects("digits")["value"].tolist() == labels
    best = results.searches["digits"]["best"]
    assert best == search.best_index_
    X, y = load_digits(return_X_y=True)
    winner = make_scikit_learn_pipeline().set_params(**search.best_params_).fit(X, y)
    test = load_digits(subset="test", return_X_y=True)
    assert results.fits["test_accuracy"].tolist() == [winner.score(*test)]


KINDS = {
    "grid": 'kind = "grid"',
    "random": 'kind = "random"\nn_iter = 4',
    "halving": 'kind = "halving"\nresource = "n_samples"\nmin_resources = 400',
    "halving by epochs": 'kind = "halving"\nresource = "max_epochs"\n'
    "min_resources = 1\nmax_resources = 2\nfactor = 2",
    "optuna": 'kind = "optuna"\nn_iter = 4',
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_search_has_factors_of_all_kinds(run, read, tmp_path, kind):
    if kind == "optuna":
        pytest.importorskip("optuna_integration")
    text = f"[search]\ncv = 2\n{KINDS[kind]}\n[search.grid]{GRID}"
    if kind == "halving by epochs":
        text = text.replace("inverter =", "# inverter =")  # half of the candidates
    results = run(text)
    assert results.fits["error"].isna().all()
    candidates = results.cv_results("digits")["params"]
    study = read(text)
    for params in candidates:
        for name, values in study.search.grid.items():
            assert params[name] in list(values)
    # What is recorded is found again: nothing is fitted twice.
    before = (tmp_path / "factors" / RECORDS).read_text().count("\n")
    again = run(text)
    assert (tmp_path / "factors" / RECORDS).read_text().count("\n") == before + 1
    assert again.searches == results.searches
    assert Study.from_record(json.loads(json.dumps(study.to_record()))) == study
    table = render_tables(results)
    assert "[flip]" in table
    assert "'" not in "".join(line for line in table.splitlines() if line[:1] == "|")
    assert "{0: 2.0}" in (results.folder / write_page(results)).read_text()


def test_settings_are_the_cartesian_product(run, read):
    text = f"[[setting]]\nname = 'a'\n[setting.grid]{GRID}pixelscaler__to = ['signed']\n"
    study = read(text)
    names = [setting.name for setting in study.settings]
    assert len(names) == 8
    assert names[:2] == [
        "a, inverter passthrough, class_weight None, augment [flip],"
        " pixelscaler__to signed",
        "a, inverter passthrough, class_weight None, augment [invert, {shift: 1}],"
        " pixelscaler__to signed",
    ]
    off, on = study.settings[0], study.settings[-1]
    assert off.steps == ({"transformer": "PixelScaler", "to": "signed"},)
    assert on.steps[0] == {"transformer": "Inverter", "maximum": 16}
    results = run(text)
    assert results.fits["setting"].tolist() == names
    X, y = load_digits(return_X_y=True)
    pipeline = make_scikit_learn_pipeline().set_params(
        inverter="passthrough", pixelscaler__to="signed", classifier__augment=["flip"]
    )
    test = load_digits(subset="test", return_X_y=True)
    assert results.fits["test_accuracy"][0] == pipeline.fit(X, y).score(*test)
    (job,) = plan_jobs(select_part(study, [], names[3:4]), "digits")
    assert job.make_key(study) == results.fit_records[3]["key"]


def test_a_setting_with_its_own_steps_has_a_grid_over_them(read):
    own = "steps = [{ transformer = 'Resizer', size = 20, image_shape = [8, 8] }]"
    study = read(f"[[setting]]\nname = 'a'\n{own}\ngrid = {{ resizer__size = [16, 24] }}\n")
    sizes = [setting.steps[0]["size"] for setting in study.settings]
    assert sizes == [16, 24]


def test_a_step_that_is_switched_off_is_the_fit_without_it(run):
    switch = "[search]\ncv = 2\ngrid = { inverter = ['passthrough'] }\n"
    results = run(switch)
    (record, *_) = [one for one in results.records if one["kind"] == "fold"]
    assert [name for name, _ in record["steps"]] == ["pixelscaler"]


@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
def test_scikit_learn_searches_over_factors_of_all_kinds(search):
    X, y = load_digits(return_X_y=True)
    grid = {
        "inverter": ["passthrough", Inverter(maximum=16)],
        "classifier__class_weight": ["balanced", {0: 2.0}],
        "classifier__augment": [["flip"], ["invert", {"shift": 1}]],
    }
    options = {"n_iter": 8, "random_state": 0} if search is RandomizedSearchCV else {}
    found = search(make_scikit_learn_pipeline(), grid, cv=FOLDS, **options)
    found.fit(X[:400], y[:400])
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert found.best_estimator_.predict(X[:9]).shape == (9,)
    tried = list(found.cv_results_["param_classifier__augment"])
    assert ["flip"] in tried
    assert ["invert", {"shift": 1}] in tried
