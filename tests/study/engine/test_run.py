"""The results of a study are those of scikit-learn with the same pipelines."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import precision_recall_fscore_support
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.preprocessing import Inverter, PixelScaler
from sklenet.study import StudyError, read_study, run_study
from sklenet.study.config.values import format_label
from sklenet.study.engine import prepare
from sklenet.study.report.figures import iter_figures
from sklenet.study.report.page import write_page
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import compute_class_metrics
from sklenet.study.report.tables import render_tables, write_tables

FOLDS = StratifiedKFold(2, shuffle=True, random_state=0)
QUICK = {"max_epochs": 1, "batch_size": 128}


@pytest.fixture
def run(tmp_path):
    def run(text, **options):
        path = tmp_path / "small.toml"
        head = 'name = "small"\ntitle = "A small study"\ndata = ["digits"]\n'
        path.write_text(head + text)
        return Results(run_study(read_study(path), tmp_path / "results", **options))

    return run


GRID = """
[estimator]
max_epochs = 1
batch_size = 128

[search]
cv = 2
grid = { activation = ["relu", "tanh"], lr = [0.001, 0.003] }
"""


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_has_the_results_of_grid_search_cv(run, n_jobs):
    results = run(f"seeds = [0, 1]\n{GRID}", n_jobs=n_jobs)
    X, y = load_digits(return_X_y=True)
    search = GridSearchCV(
        LeNet5Classifier(**QUICK, random_state=0),
        {"activation": ["relu", "tanh"], "lr": [0.001, 0.003]},
        cv=FOLDS,
    ).fit(X, y)
    ours = results.cv_results("digits")
    assert ours["params"] == search.cv_results_["params"]
    without_times = {key for key in search.cv_results_ if not key.endswith("_time")}
    assert ours.keys() == without_times
    for key in without_times - {"params"}:
        assert np.array_equal(ours[key], search.cv_results_[key]), key
    test = load_digits(subset="test", return_X_y=True)
    for _, fit in results.fits.iterrows():
        again = LeNet5Classifier(**QUICK | search.best_params_, random_state=fit["seed"])
        assert fit["test_accuracy"] == again.fit(X, y).score(*test)
    assert results.fits["seed"].tolist() == [0, 1]
    assert set(results.fits["setting"]) == {"winner"}


def test_a_random_search_has_the_candidates_of_randomized_search_cv(run):
    results = run(
        """
steps = [{ transformer = "PixelScaler" }]
[estimator]
max_epochs = 1
batch_size = 128
[search]
kind = "random"
n_iter = 3
cv = 2
[search.grid]
lr = { loguniform = [0.001, 0.01] }
dropout = { uniform = [0.1, 0.3] }
pixelscaler__to = ["unit", "signed"]
"""
    )
    pipeline = make_pipeline(PixelScaler(), LeNet5Classifier(**QUICK, random_state=0))
    search = RandomizedSearchCV(
        pipeline,
        {
            "lenet5classifier__lr": stats.loguniform(0.001, 0.01),
            "lenet5classifier__dropout": stats.uniform(0.1, 0.2),
            "pixelscaler__to": ["unit", "signed"],
        },
        n_iter=3,
        cv=FOLDS,
        random_state=0,
        refit=False,
    ).fit(*load_digits(return_X_y=True))
    ours = results.cv_results("digits")
    assert len(ours["params"]) == 3
    for one, theirs in zip(ours["params"], search.cv_results_["params"], strict=True):
        # The order of the names decides what is drawn for which; it is the same here.
        assert sorted(one) == sorted(k.replace("lenet5classifier__", "") for k in theirs)
    assert 0.001 <= min(ours["param_lr"]) <= max(ours["param_lr"]) <= 0.01
    assert 0.1 <= min(ours["param_dropout"]) <= max(ours["param_dropout"]) <= 0.3
    k = int(ours["rank_test_score"].argmin())
    assert results.searches["digits"]["best"] == k
    chosen = ours["params"][k]
    fit = results.fits.iloc[0]
    assert (fit["lr"], fit["dropout"]) == (chosen["lr"], chosen["dropout"])


@pytest.mark.parametrize("resource", ["max_epochs", "n_samples"])
def test_a_halving_search_has_the_results_of_halving_grid_search_cv(run, resource):
    smallest, largest = (1, 4) if resource == "max_epochs" else (300, 1200)
    results = run(
        f"""
[estimator]
batch_size = 128
{"" if resource == "max_epochs" else "max_epochs = 1"}
[search]
kind = "halving"
resource = "{resource}"
min_resources = {smallest}
max_resources = {largest}
factor = 2
cv = 2
grid = {{ activation = ["relu", "tanh"], lr = [0.001, 0.003] }}
"""
    )
    parameters = {"batch_size": 128, "random_state": 0}
    if resource == "n_samples":
        parameters["max_epochs"] = 1
    search = HalvingGridSearchCV(
        LeNet5Classifier(**parameters),
        {"activation": ["relu", "tanh"], "lr": [0.001, 0.003]},
        resource=resource,
        min_resources=smallest,
        max_resources=largest,
        factor=2,
        cv=FOLDS,
        random_state=0,
        refit=False,
    ).fit(*load_digits(return_X_y=True))
    ours = results.cv_results("digits")
    for key in ("iter", "n_resources", "mean_test_score", "rank_test_score"):
        assert np.array_equal(ours[key], search.cv_results_[key]), key
    assert ours["params"] == search.cv_results_["params"]
    assert results.searches["digits"]["best"] == search.best_index_


SETTINGS = """
[estimator]
max_epochs = 1
batch_size = 128

[[setting]]
name = "plain"

[[setting]]
name = "scaled"
steps = [{ transformer = "PixelScaler", to = "signed" }]
estimator = { lr = 0.003 }

[[setting]]
name = "diverges"
estimator = { optimizer = "sgd", lr = 1e30 }
"""


def test_settings_are_compared_by_cross_validation(run):
    results = run("[search]\nkind = 'settings'\ncv = 2\n" + SETTINGS)
    X, y = load_digits(return_X_y=True)
    pipelines = [
        LeNet5Classifier(**QUICK, random_state=0),
        make_pipeline(
            PixelScaler("signed"), LeNet5Classifier(**QUICK, lr=0.003, random_state=0)
        ),
    ]
    scores = [cross_val_score(pipeline, X, y, cv=FOLDS) for pipeline in pipelines]
    ours = results.cv_results("digits")
    for k, score in enumerate(scores):
        assert [ours[f"split{j}_test_score"][k] for j in (0, 1)] == score.tolist()
    assert np.isnan(ours["mean_test_score"][2])
    assert ours["rank_test_score"][2] == 3
    best = int(np.argmax([score.mean() for score in scores]))
    assert results.searches["digits"]["best"] == best
    compared = results.candidates("digits").set_index("setting")
    assert compared.loc["plain", "difference"] == 0
    difference = np.mean(scores[1] - scores[0])
    assert compared.loc["scaled", "difference"] == pytest.approx(difference)
    table = render_tables(results)
    assert f"| {difference:+.4f} " in table
    assert "differences from 'plain', paired over the folds" in table
    assert f"| digits | {('plain', 'scaled')[best]} " in re.sub(" +", " ", table)
    test = load_digits(subset="test", return_X_y=True)
    fitted = pipelines[best].fit(X, y)
    assert results.fits["test_accuracy"].tolist() == [fitted.score(*test)]


def test_a_failed_first_setting_leaves_no_differences(run):
    head, plain, _, diverges = SETTINGS.split("[[setting]]")
    text = f"{head}[[setting]]{diverges}[[setting]]{plain}"
    table = render_tables(run("[search]\nkind = 'settings'\ncv = 2\n" + text))
    row, winner = [line for line in table.splitlines() if "| plain " in line]
    assert winner.startswith("| digits ")
    assert [cell.strip() for cell in row.split("|")[-3:-1]] == ["", ""]
    assert "nan" not in table


def test_every_setting_is_trained_with_its_seeds(run):
    results = run("seeds = [0, 1]\n" + SETTINGS + "seeds = [7]\n")
    pairs = results.fits[["setting", "seed"]].to_numpy().tolist()
    wanted = [["plain", 0], ["plain", 1], ["scaled", 0], ["scaled", 1], ["diverges", 7]]
    assert pairs == wanted
    errors = results.fits["error"]
    assert errors[:4].isna().all()
    assert "Training diverged" in errors[4]
    assert np.isnan(results.fits["test_accuracy"][4])


def test_a_search_without_a_winner_is_reported(run):
    lines = []
    results = run(
        "[estimator]\noptimizer = 'sgd'\nmax_epochs = 1\n"
        "[search]\ncv = 2\ngrid = { lr = [1e30, 1e31] }\n",
        echo=lines.append,
    )
    assert "digits: every candidate failed" in lines
    assert results.searches["digits"]["best"] is None
    assert len(results.fits) == 0
    assert "failed" in render_tables(results)
    write_page(results)


def test_additional_tests_and_metrics_are_those_of_the_estimator(run):
    results = run(
        """
metrics = ["accuracy", "neg_log_loss"]
[estimator]
max_epochs = 1
batch_size = 128
[[test]]
name = "negatives"
steps = [{ transformer = "Inverter", maximum = 16 }]
"""
    )
    X, y = load_digits(subset="test", return_X_y=True)
    fitted = LeNet5Classifier(**QUICK, random_state=0).fit(*load_digits(return_X_y=True))
    negatives = Inverter(maximum=16).transform(X)
    fit = results.fits.iloc[0]
    assert fit["test_accuracy"] == fitted.score(X, y)
    assert fit["negatives_accuracy"] == fitted.score(negatives, y)
    truth = np.log(fitted.predict_proba(X)[np.arange(len(y)), y]).mean()
    assert fit["test_neg_log_loss"] == pytest.approx(truth, rel=1e-6)
    record = results.fit_records[0]["tests"]["negatives"]
    confusion = np.array(record["confusion"])
    assert confusion.sum() == len(y)
    assert np.trace(confusion) / len(y) == fit["negatives_accuracy"]
    guesses = fitted.predict(negatives)
    table = compute_class_metrics(
        results.confusion_matrix("digits", "estimator"), [*"0123456789"]
    )
    wanted = precision_recall_fscore_support(y, fitted.predict(X))
    for name, values in zip(("precision", "recall", "f1", "support"), wanted, strict=True):
        assert np.allclose(table[name], values)
    sure = [p for _, _, p in record["mistakes"]]
    assert sure == sorted(sure, reverse=True)
    for row, guess, _ in record["mistakes"]:
        assert guesses[row] == guess != y[row]


@pytest.mark.parametrize("which", ["random", "first"])
def test_the_best_epoch_is_that_of_the_validation_data(run, which):
    results = run(
        f"""
seeds = [3]
validation = 0.25
validation_rows = "{which}"
[estimator]
max_epochs = 8
lr = 0.005
batch_size = 32
"""
    )
    X, y = load_digits(return_X_y=True)
    held_out = np.zeros(len(y), dtype=bool)
    if which == "first":
        held_out[: round(len(y) / 4)] = True
    else:
        rows = train_test_split(
            np.arange(len(y)), test_size=0.25, stratify=y, random_state=3
        )[1]
        held_out[rows] = True
    estimator = LeNet5Classifier(max_epochs=8, lr=0.005, batch_size=32, random_state=3)
    estimator.fit(X[~held_out], y[~held_out], X_val=X[held_out], y_val=y[held_out])
    test = load_digits(subset="test", return_X_y=True)
    fit = results.fits.iloc[0]
    assert fit["test_accuracy"] == estimator.score(*test)
    assert fit["best_epoch"] == estimator.best_epoch_
    assert fit["best_epoch"] < 8, "the last epoch is the best: this tests nothing"
    assert fit["valid_accuracy"] == estimator.history_[-1]["valid_accuracy"]
    best = LeNet5Classifier(
        max_epochs=estimator.best_epoch_, lr=0.005, batch_size=32, random_state=3
    ).fit(X[~held_out], y[~held_out])
    assert fit["test_accuracy_at_best_epoch"] == best.score(*test)


def test_records_have_versions_machine_and_revision(run):
    results = run("[estimator]\nmax_epochs = 1\n", command="sklenet study small.toml")
    assert results.study.name == "small"
    (only,) = results.runs
    assert only["command"] == "sklenet study small.toml"
    assert {"torch", "scikit-learn", "sklenet"} <= only["versions"].keys()
    assert {"cpu", "cores", "system"} <= only["machine"].keys()
    assert "revision" in only
    fit = results.fits.iloc[0]
    assert fit["n_parameters"] == 61_706
    assert (fit["n_train"], fit["n_test"], fit["epochs"]) == (1437, 360, 1)
    assert fit["seconds"] > 0
    assert fit["cpu_seconds"] > 0


def test_the_test_images_are_scored_per_epoch_beside_a_published_curve(run):
    results = run(
        """
seeds = [0, 1]
validation = "test"
[estimator]
max_epochs = 3
batch_size = 128
[[published]]
data = "digits"
source = "somebody"
figures = { test_accuracy = 0.5 }
[published.curves]
valid_accuracy = [0.1, 0.2, 0.3, 0.4]
"""
    )
    X, y = load_digits(return_X_y=True)
    test = load_digits(subset="test", return_X_y=True)
    for _, fit in results.fits.iterrows():
        estimator = LeNet5Classifier(max_epochs=3, batch_size=128, random_state=fit["seed"])
        assert fit["test_accuracy"] == estimator.fit(X, y).score(*test)
        # Validation does not change the weights. The last epoch is that of the test.
        assert fit["valid_accuracy"] == pytest.approx(fit["test_accuracy"])
        assert fit["best_epoch"] is None
    assert not any("best_epoch" in name for name in results.summary["score"])
    text = render_tables(results)
    assert "valid accuracy (on the test images) per epoch, n = 2" in text
    mean = results.fits["valid_accuracy"].mean()
    (row,) = [line for line in text.splitlines() if line.startswith("| ours, mean")]
    assert row.split("|")[4].strip() == f"{mean:.4f}"
    assert row.split("|")[5].strip() == ""


TINY = "max_epochs = 1\nbatch_size = 256\n"


def test_equal_settings_have_a_row_each(run):
    results = run(
        f"[estimator]\n{TINY}[[setting]]\nname = 'plain'\n"
        "[[setting]]\nname = 'rates'\ngrid = { lr = [0.001, 0.002] }\n"
    )
    assert results.fits["setting"].tolist() == [
        "plain",
        "rates, lr 0.001",
        "rates, lr 0.002",
    ]
    assert results.fits["test_accuracy"][0] == results.fits["test_accuracy"][1]
    assert results.compare("test_accuracy").empty  # no pairs, with one seed
    render_tables(results)


def test_a_metric_for_two_classes_is_an_error_before_training(run, tmp_path):
    for search in ("", "[search]\ncv = 2\ngrid = { pooling = ['max', 'avg'] }\n"):
        with pytest.raises(
            StudyError, match=r"metrics: 'roc_auc' cannot be computed on digits.*ovr"
        ):
            run(f"metrics = ['roc_auc']\n[estimator]\n{TINY}{search}")
    assert not (tmp_path / "results").exists()


def test_a_failed_test_is_an_error_in_its_row(run, monkeypatch):
    # It fails although its steps were tried on some of the images.
    monkeypatch.setattr(prepare, "try_steps", lambda study, name: None)
    results = run(
        f"""
seeds = [0, 1]
[estimator]
{TINY}
[[test]]
name = "reduced"
steps = [{{ transformer = "sklearn.decomposition.PCA", n_components = 4 }}]
"""
    )
    assert results.fits["error"].str.contains("has 4 features").all()
    text = write_tables(results)
    assert "failed" in text
    assert text.count("Failed: digits, estimator, seed ") == 2
    page = Path(write_page(results)).read_text()
    assert "has 4 features" in page
    assert (results.folder / "learning_curves_digits.svg").exists()


def test_the_steps_of_a_test_are_applied_in_order(run):
    results = run(
        f"""
[estimator]
{TINY}feature_range = "none"
[[test]]
name = "scaled and inverted"
steps = [{{ transformer = "PixelScaler", to = "unit" }}, {{ transformer = "Inverter" }}]
"""
    )
    X, y = load_digits(return_X_y=True)
    fitted = LeNet5Classifier(
        max_epochs=1, batch_size=256, feature_range=None, random_state=0
    ).fit(X, y)
    X_test, y_test = load_digits(subset="test", return_X_y=True)
    wanted = fitted.score(1 - X_test / 16, y_test)
    assert results.fits["scaled and inverted_accuracy"].tolist() == [wanted]


@pytest.mark.parametrize(
    ("grid", "values"),
    [
        ("weight_decay = [0, 0.01]", ["0", "0.01"]),
        ("augment = ['none', ['shift']]", ["None", "[shift]"]),
    ],
)
def test_main_effects_of_values_of_different_types(run, grid, values):
    results = run(f"[estimator]\n{TINY}[search]\ncv = 2\ngrid = {{ {grid} }}\n")
    effects = results.main_effects("digits")
    assert effects["value"].tolist() == values
    means = results.cv_results("digits")["mean_test_score"]
    assert effects["mean"].tolist() == means.tolist()
    name = grid.split(" =")[0]
    assert set(results.candidates("digits")[name].map(format_label)) == set(values)
    list(iter_figures(results, "digits"))


def test_a_figure_names_the_settings_that_it_shows(run, monkeypatch):
    monkeypatch.setattr("sklenet.study.report.figures._MAX_CURVES", 11)
    rates = [round(0.001 * k, 3) for k in range(1, 13)]
    grid = f"[[setting]]\nname = 'rates'\ngrid = {{ lr = {rates} }}\n"
    pictures = iter_figures(run(f"[estimator]\n{TINY}{grid}"), "digits")
    name, caption, make = next(pictures)
    assert name == "learning_curves_digits"
    assert caption.endswith("the first 11 settings of 12")
    figure = make()
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == [f"rates, lr {rate}" for rate in rates[:11]]
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(styles) == 11


def test_fits_with_other_metrics_are_not_reused(run):
    text = f"[estimator]\n{TINY}[search]\ncv = 2\ngrid = {{ pooling = ['max', 'avg'] }}\n"
    run(text)
    results = run("metrics = ['f1_macro']\n" + text, keep=True)
    assert results.searches["digits"]["best"] is not None
    assert results.fits["test_f1_macro"].notna().all()


def test_results_are_those_of_the_current_search(run):
    def text(rates):
        return f"[estimator]\n{TINY}[search]\ncv = 2\ngrid = {{ lr = {rates} }}\n"

    first = run(text([0.001, 0.002])).cv_results("digits")
    run(text([0.003, 0.004]), keep=True)
    again = run(text([0.001, 0.002]), keep=True)
    assert again.cv_results("digits")["params"] == first["params"]
    assert again.fits["lr"].isin([0.001, 0.002]).all()
    without = run(f"[estimator]\n{TINY}", keep=True)
    assert without.searches == {}
    assert len(without.fits) == 1
    assert without.n_not_requested >= 1
    render_tables(without)


def test_published_results_are_compared_with_the_winner_of_settings(run):
    results = run(
        "[search]\nkind = 'settings'\ncv = 2\n"
        + SETTINGS
        + """
[[published]]
data = "digits"
source = "of scaled"
setting = "scaled"
figures = { test_accuracy = 0.5 }
[[published]]
data = "digits"
source = "of any"
figures = { test_accuracy = 0.6 }
"""
    )
    best = results.searches["digits"]["cv_results"]["params"][
        results.searches["digits"]["best"]
    ]["setting"]
    assert best == "scaled"
    ours = f"{results.fits['test_accuracy'][0]:.4f}"
    rows = [
        line for line in render_tables(results).splitlines() if line.startswith("| of ")
    ]
    assert len(rows) == 2
    assert all(ours in row for row in rows)
