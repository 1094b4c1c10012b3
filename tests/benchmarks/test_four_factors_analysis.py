"""The analysis of the studies of four factors, on constructed studies."""

import four_factors
import four_factors_analysis as analysis
import pytest
from constructed_studies import (
    GRID,
    HEAD,
    INVERSION,
    STEPS,
    WITH_INVERSION,
    write_four_factors,
    write_study,
)
from scipy import stats

from sklenet.study.report.results import Results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_four_factors(tmp_path_factory.mktemp("studies"))


@pytest.fixture
def results(folder):
    return Results(folder / four_factors.STUDY)


@pytest.fixture
def inversion(folder):
    return Results(folder / four_factors.INVERSION)


def test_shares_are_in_the_order_of_their_means(results):
    shares = analysis.compute_shares(results)
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
    poor = analysis.find_poor(results)
    assert poor == {"activation": ["sigmoid"]}
    shares = analysis.compute_shares(results, poor)
    # What is left on MNIST: 1 point by gelu, and half a point by the pooling.
    ratio = shares["mnist"]["activation"] / shares["mnist"]["pooling"]
    assert ratio == pytest.approx(4)


def test_several_parameters_can_have_poor_values(tmp_path):
    grid = GRID.replace('"xavier_uniform"', '"xavier_uniform", "lecun_uniform"')
    results = write_study(tmp_path, "s", HEAD.format(steps="") + grid)
    poor = analysis.find_poor(results)
    assert poor == {"init": ["lecun_uniform"], "activation": ["sigmoid"]}
    candidates = [analysis.get_params(results)[k] for k in analysis.list_good(results)]
    assert len(candidates) == 2 * 2 * 2 * 2
    assert {params["init"] for params in candidates} == {"he_uniform", "xavier_uniform"}


def test_of_two_values_none_is_left_out(inversion):
    assert analysis.find_poor(inversion) == {}
    n_candidates = len(analysis.get_params(inversion))
    assert analysis.list_good(inversion) == [*range(n_candidates)]


def test_ranges_are_those_of_the_main_effects(results):
    ranges = analysis.compute_ranges(results, "mnist")
    assert ranges["difference"].to_dict() == pytest.approx(
        {"activation": 1, "pooling": 0.5, "init": 0, "weight_decay": 0}, abs=1e-9
    )
    assert ranges.loc["activation", ["best", "worst"]].tolist() == ["gelu", "relu"]


def test_changes_of_the_defaults_are_the_effects(results):
    changes = analysis.compute_changes(results)
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


def test_ranks_and_losses_of_the_winners(results):
    ranks = analysis.compute_ranks(results).set_index(["winner of", "data"])
    # With average pooling, which is best on MNIST, and He's weights.
    best = results.cv_results("mnist")["params"][results.searches["mnist"]["best"]]
    assert (best["activation"], best["pooling"]) == ("gelu", "avg")
    loss = 8 - 4 * (best["init"] == "xavier_uniform")
    assert ranks["loss"]["mnist", "cifar10"] == pytest.approx(loss)
    assert ranks["loss"]["cifar10", "mnist"] == pytest.approx(0.5)
    assert ranks["rank"]["mnist", "mnist"] == 1
    means = analysis.get_means(results)
    above = (means["mnist"] > means["mnist"].max() - 0.5 + 1e-9).sum()
    assert ranks["rank"]["cifar10", "mnist"] == above + 1
    assert ranks["loss"]["mnist", "mnist"] == 0


def test_correlations_are_spearmans(results):
    table = analysis.compute_correlations(results)
    means = analysis.get_means(results)
    means = means.loc[analysis.list_good(results)]
    expected = stats.spearmanr(means["mnist"], means["cifar10"]).statistic
    assert table["mnist"]["cifar10"] == pytest.approx(expected)
    assert table["mnist"]["mnist"] == pytest.approx(1)  # the folds agree


def test_the_inversion_is_compared_in_pairs_by_what_it_depends_on(inversion):
    assert analysis.find_partner(inversion) == "activation"
    for data, effects in INVERSION.items():
        for value, effect in effects.items():
            found = analysis.compute_inversion(inversion, data, "activation", value)
            assert found["mean"] == pytest.approx(effect)
            assert found["n"] == 2


def test_collapsed_candidates_are_not_compared_in_pairs(tmp_path):
    text = HEAD.format(steps=STEPS) + WITH_INVERSION
    results = write_study(tmp_path, "s", text, collapsed=[0])
    collapsed = analysis.get_params(results)[0]["activation"]
    for value, effect in INVERSION["mnist"].items():
        found = analysis.compute_inversion(results, "mnist", "activation", value)
        assert found["mean"] == pytest.approx(effect)
        assert found["n"] == 2 - (value == collapsed)
