"""The document about the study of four factors, on constructed studies."""

import json

import four_factors
import four_factors_figures
import numpy as np
import pytest
import rendering
from scipy import stats
from sklearn.model_selection import ParameterGrid

from sklenet.study import read_study
from sklenet.study.engine.plan import hash_search, plan_jobs
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.results import Results

HEAD = """
title = "t"
data = ["mnist", "cifar10"]
n_train = 60
seeds = [0, 1]
{steps}
[estimator]
optimizer = "adamw"
lr = 0.003
lr_schedule = "one_cycle"
batch_size = 64
max_epochs = 5
[search]
cv = 3
[search.grid]
"""
GRID = """
activation = ["relu", "gelu", "sigmoid"]
pooling = ["max", "avg"]
init = ["he_uniform", "xavier_uniform"]
weight_decay = [0.0, 0.1]
"""
WITH_INVERSION = """
activation = ["relu", "gelu"]
pooling = ["max", "avg"]
inverter = ["passthrough", "Inverter"]
"""
STEPS = 'steps = [{ transformer = "Inverter", maximum = 255 }]'

# Effects in points: on MNIST the activation matters most, on CIFAR-10 the pooling, whose
# effect depends on the initial weights.
EFFECTS = {
    "mnist": {"gelu": 1.0, "sigmoid": -3.0, "avg": 0.5, "lecun_uniform": -40},
    "cifar10": {"gelu": 2.0, "sigmoid": -1.0, "avg": -8.0, "lecun_uniform": -20},
}
# Of the inversion, with each activation.
INVERSION = {
    "mnist": {"relu": -0.25, "gelu": -0.75},
    "cifar10": {"relu": 0.5, "gelu": 1.5},
}
RUN = {
    "kind": "run",
    "run": 1,
    "started": "2026-01-02T03:04:05",
    "versions": {"torch": "1", "skorch": "2", "scikit-learn": "3"},
    "machine": {"cpu": "a processor", "cores": 2},
    "revision": None,
}


def score_candidate(data, params):
    """Return the accuracies on three folds, whose mean differences are the effects."""
    points = {"mnist": 90, "cifar10": 60}[data]
    points += sum(EFFECTS[data].get(str(value), 0) for value in params.values())
    if params.get("inverter") == "Inverter":
        points += INVERSION[data][params["activation"]]
    if data == "cifar10" and params["pooling"] == "avg":
        points += 4.0 * (params.get("init") == "xavier_uniform")
    return [(points + shift) / 100 for shift in (-0.5, 0, 0.5)]


def write_study(folder, name, text, collapsed=()):
    """Write the records of a finished search with constructed scores."""
    (folder / f"{name}.toml").write_text(f'name = "{name}"\n{text}')
    study = read_study(folder / f"{name}.toml")
    records = [{"kind": "study", "study": study.to_record()}, RUN]
    grid = {key: list(values) for key, values in study.search.grid.items()}
    candidates = list(ParameterGrid(grid))
    for data in study.data:
        folds = np.array([score_candidate(data, params) for params in candidates])
        for k in collapsed:
            folds[k] = 0.1
        means = folds.mean(axis=1)
        columns = {f"split{k}_test_score": column for k, column in enumerate(folds.T)}
        columns |= {"mean_test_score": means}
        columns |= {"rank_test_score": stats.rankdata(-means, method="min").astype(int)}
        results = {key: column.tolist() for key, column in columns.items()}
        results |= {"params": candidates}
        results |= {f"param_{key}": [params[key] for params in candidates] for key in grid}
        record = {"kind": "search", "of": hash_search(study, data), "data": data}
        records.append(record | {"best": int(means.argmax()), "cv_results": results})
        for k, score in enumerate(folds.ravel()):
            record = {"kind": "fold", "key": f"{data}-{k}", "data": data, "run": 1}
            record |= {"n_train": 40, "cpu_seconds": 36.0, "scores": {"accuracy": score}}
            records.append(record | {"params": {}})
    (folder / name).mkdir()
    lines = [json.dumps(record) + "\n" for record in records]
    (folder / name / RECORDS).write_text("".join(lines))
    return Results(folder / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    write_study(folder, four_factors.STUDY, HEAD.format(steps="") + GRID)
    text = HEAD.format(steps=STEPS) + WITH_INVERSION
    write_study(folder, four_factors.INVERSION, text)
    return folder


@pytest.fixture
def results(folder):
    return Results(folder / four_factors.STUDY)


@pytest.fixture
def inversion(folder):
    return Results(folder / four_factors.INVERSION)


@pytest.fixture
def rendered(folder, monkeypatch):
    """Let the documents be made from the constructed studies."""
    rendering.read_results.cache_clear()
    for module in (rendering, four_factors):
        monkeypatch.setattr(module, "RESULTS", folder)
    yield
    rendering.read_results.cache_clear()


def test_shares_are_in_the_order_of_their_means(results):
    shares = four_factors.compute_shares(results)
    assert shares.index[:2].tolist() == ["activation", "pooling"]
    assert shares.index[-3:].tolist() == [
        "three or more parameters",
        "folds",
        "remainder",
    ]
    assert shares.sum().to_numpy() == pytest.approx(1)
    assert shares["mnist"].idxmax() == "activation"
    assert shares["cifar10"].idxmax() == "pooling"


def test_shares_without_the_values_that_are_far_below_the_others(results):
    poor = four_factors.find_poor(results)
    assert poor == {"activation": ["sigmoid"]}
    shares = four_factors.compute_shares(results, poor)
    # What is left on MNIST: 1 point by gelu, and half a point by the pooling.
    ratio = shares["mnist"]["activation"] / shares["mnist"]["pooling"]
    assert ratio == pytest.approx(4)


def test_several_parameters_can_have_poor_values(tmp_path):
    grid = GRID.replace('"xavier_uniform"', '"xavier_uniform", "lecun_uniform"')
    results = write_study(tmp_path, "s", HEAD.format(steps="") + grid)
    poor = four_factors.find_poor(results)
    assert poor == {"init": ["lecun_uniform"], "activation": ["sigmoid"]}
    candidates = [
        four_factors.get_params(results)[k] for k in four_factors.list_good(results)
    ]
    assert len(candidates) == 2 * 2 * 2 * 2
    assert {params["init"] for params in candidates} == {"he_uniform", "xavier_uniform"}


def test_of_two_values_none_is_left_out(inversion):
    assert four_factors.find_poor(inversion) == {}
    n_candidates = len(four_factors.get_params(inversion))
    assert four_factors.list_good(inversion) == [*range(n_candidates)]


def test_ranges_are_those_of_the_main_effects(results):
    ranges = four_factors.compute_ranges(results, "mnist")
    assert ranges["difference"].to_dict() == pytest.approx(
        {"activation": 1, "pooling": 0.5, "init": 0, "weight_decay": 0}, abs=1e-9
    )
    assert ranges.loc["activation", ["best", "worst"]].tolist() == ["gelu", "relu"]


def test_changes_of_the_defaults_are_the_effects(results):
    changes = four_factors.compute_changes(results)
    gains = {
        (row["parameter"], row["value"]): (row["mnist"], row["cifar10"])
        for row in changes.to_dict("records")
    }
    assert gains == {
        ("activation", "gelu"): pytest.approx((1, 2)),
        ("activation", "sigmoid"): pytest.approx((-3, -1)),
        ("pooling", "avg"): pytest.approx((0.5, -8)),
        ("init", "xavier_uniform"): pytest.approx((0, 0), abs=1e-9),
        ("weight_decay", 0.1): pytest.approx((0, 0), abs=1e-9),
    }
    assert changes["mean"].is_monotonic_decreasing
    assert changes["mean"].iloc[0] == pytest.approx(1.5)


def test_without_the_defaults_there_are_no_changes(tmp_path):
    grid = GRID.replace('"relu", ', "")
    results = write_study(tmp_path, "s", HEAD.format(steps="") + grid)
    assert not len(four_factors.compute_changes(results))
    assert "defaults" not in four_factors.describe_answer(results)


def test_ranks_and_losses_of_the_winners(results):
    ranks = four_factors.compute_ranks(results).set_index(["winner of", "data"])
    # With average pooling, which is best on MNIST, and He's weights.
    best = results.cv_results("mnist")["params"][results.searches["mnist"]["best"]]
    assert (best["activation"], best["pooling"]) == ("gelu", "avg")
    loss = 8 - 4 * (best["init"] == "xavier_uniform")
    assert ranks["loss"]["mnist", "cifar10"] == pytest.approx(loss)
    assert ranks["loss"]["cifar10", "mnist"] == pytest.approx(0.5)
    assert ranks["rank"]["mnist", "mnist"] == 1
    means = four_factors.get_means(results)
    above = (means["mnist"] > means["mnist"].max() - 0.5 + 1e-9).sum()
    assert ranks["rank"]["cifar10", "mnist"] == above + 1
    assert ranks["loss"]["mnist", "mnist"] == 0


def test_correlations_are_spearmans(results):
    table = four_factors.compute_correlations(results)
    means = four_factors.get_means(results)
    means = means.loc[four_factors.list_good(results)]
    expected = stats.spearmanr(means["mnist"], means["cifar10"]).statistic
    assert table["mnist"]["cifar10"] == pytest.approx(expected)
    assert table["mnist"]["mnist"] == pytest.approx(1)  # the folds agree


def test_the_strongest_interaction_is_found_and_described(results):
    pair, share = four_factors.get_strongest_pair(results, "cifar10")
    assert pair == ["pooling", "init"]
    shares = results.variance_shares("cifar10", without={"activation": ["sigmoid"]})
    shares = shares.set_index("term")["share"]
    assert share == shares["pooling × init"]
    table = four_factors.compute_pair_means(results, "cifar10", ["activation", "init"])
    assert table.index.tolist() == ["relu", "gelu"]
    means = four_factors.compute_pair_means(results, "cifar10", pair)
    assert means.loc["avg", "xavier_uniform"] - means.loc["avg", "he_uniform"] == (
        pytest.approx(4)
    )
    text = four_factors.describe_interaction(results, "cifar10")
    assert text.startswith("`pooling` × `init` has ")
    assert "xavier_uniform with avg" in text


def test_the_inversion_is_compared_in_pairs_by_what_it_depends_on(inversion):
    assert four_factors.find_partner(inversion) == "activation"
    for data, effects in INVERSION.items():
        for value, effect in effects.items():
            found = four_factors.compute_inversion(inversion, data, "activation", value)
            assert found["mean"] == pytest.approx(effect)
            assert found["n"] == 2


def test_collapsed_candidates_are_not_compared_in_pairs(tmp_path):
    text = HEAD.format(steps=STEPS) + WITH_INVERSION
    results = write_study(tmp_path, "s", text, collapsed=[0])
    collapsed = four_factors.get_params(results)[0]["activation"]
    for value, effect in INVERSION["mnist"].items():
        found = four_factors.compute_inversion(results, "mnist", "activation", value)
        assert found["mean"] == pytest.approx(effect)
        assert found["n"] == 2 - (value == collapsed)


def test_the_answer_is_made_of_the_numbers(results):
    answer = four_factors.describe_answer(results)
    poor = four_factors.find_poor(results)
    shares = four_factors.compute_shares(results, poor)
    assert (
        "- `activation='sigmoid'` is far below the other values. Without it, the" in answer
    )
    for name, data, title in (
        ("activation", "mnist", "MNIST"),
        ("pooling", "cifar10", "CIFAR-10"),
    ):
        assert f"`{name}` on {title} ({100 * shares[data][name]:.0f} %)" in answer
    # The best ten on MNIST: GELU, then ReLU with average pooling.
    assert (
        "The 10 best of the 24 combinations on MNIST are within 1.00 percentage" in answer
    )
    means = four_factors.get_means(results)
    best = means["mnist"].nlargest(10).index
    ranks = four_factors.rank_candidates(results)["cifar10"][best]
    assert f"their ranks are {ranks.min():.0f} to {ranks.max():.0f} on CIFAR-10" in answer
    assert "best on CIFAR-10 is 0.50 percentage points below the best on MNIST." in answer
    assert (
        "`activation='gelu'` is the change that gains most on average: +1.00 percentage"
        " points on MNIST (95% CI +1.00 to +1.00) and +2.00 on CIFAR-10 (+2.00 to +2.00)."
    ) in answer


def test_the_document_has_the_numbers_of_both_studies(rendered):
    text = four_factors.render()
    assert "all 24 combinations" in text
    assert "the poor values are `activation='sigmoid'`: each" in text
    assert "gelu, 1.00 above relu" in text
    assert "144 fits" in text
    assert "1.4 CPU hours" in text
    assert "8 combinations of these values, 48 fits" in text
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    # The differences are the same on every fold.
    gain = ["+1.00 (+1.00 to +1.00)", "+2.00 (+2.00 to +2.00)", "+1.50"]
    assert ["activation = gelu", *gain] in rows
    assert ["MNIST", "relu", "-0.25 ± 0.00", "-0.25 to -0.25", "2"] in rows
    assert "Interpretation" not in text
    assert "Winners on all images" not in text


def test_the_document_shows_the_winners_on_all_images_once_they_are_recorded(
    rendered, folder, monkeypatch
):
    name = "winners"
    text = HEAD.format(steps="").partition("[search]")[0].replace("n_train = 60\n", "")
    (folder / f"{name}.toml").write_text(
        f'name = "{name}"\nnotes = "Why."\n{text}\n[[setting]]\nname = "defaults"\n'
        '[[setting]]\nname = "best"\nestimator = { activation = "gelu" }\n'
    )
    study = read_study(folder / f"{name}.toml")
    records = [{"kind": "study", "study": study.to_record()}, RUN]
    for data in study.data:
        for job in plan_jobs(study, data):
            accuracy = 0.9 + 0.05 * (job.setting == "best") + 0.01 * job.seed
            record = {"key": job.make_key(study), "kind": "fit", "run": 1, "data": data}
            record |= {"setting": job.setting, "seed": job.seed, "n_train": 60}
            record |= {"n_test": 10, "params": {}, "steps": [], "n_parameters": 61706}
            history = 2 * [{"epoch": 1, "train_loss": 0.1, "train_accuracy": 0.9}]
            tests = {"test": {"accuracy": accuracy}}
            records.append(record | {"history": history, "tests": tests})
    (folder / name).mkdir()
    lines = [json.dumps(record) + "\n" for record in records]
    (folder / name / RECORDS).write_text("".join(lines))
    monkeypatch.setattr(four_factors, "_WINNERS", name)
    text = four_factors.render()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert ["best", "95.50 ± 0.71", "95.50 ± 0.71"] in rows
    assert ["defaults", "90.50 ± 0.71", "90.50 ± 0.71"] in rows
    assert "Why." in text
    assert "for 2 epochs with 2 seeds" in text


def test_figures_show_the_computed_values(rendered, results, tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(four_factors_figures, "DOCS", tmp_path)
    drawn = []
    monkeypatch.setattr(plt, "close", drawn.append)
    paths = four_factors_figures.draw_figures()
    monkeypatch.undo()
    text_of_page = (rendering.TEMPLATES / "four_factors.md.j2").read_text()
    assert len(paths) == len(drawn) == 5
    for path in paths:
        assert path.is_file()
        assert f"]({path.name})" in text_of_page
    shares = four_factors.compute_shares(results)
    for ax, data in zip(drawn[0].axes[2:], ("mnist", "cifar10"), strict=True):
        widths = [bar.get_width() for bar in ax.patches]
        assert widths == pytest.approx((100 * shares[data]).tolist())
    titles = [ax.get_title() for ax in drawn[0].axes[:2]]
    assert titles == ["MNIST\nwithout sigmoid", "CIFAR-10\nwithout sigmoid"]
    effects = results.main_effects("cifar10", without={"activation": ["sigmoid"]})
    points = [
        x
        for line in drawn[1].axes[1].lines
        if line.get_marker() == "o"
        for x in line.get_xdata()
    ]
    assert points == pytest.approx((100 * effects["mean"]).tolist())
    for figure in drawn:
        plt.close(figure)
