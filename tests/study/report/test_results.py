import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from sklenet.study import StudyError, load, read_study
from sklenet.study.engine.plan import hash_search, plan_jobs
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.figures import iter_figures
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import (
    adjust_p_values,
    compute_class_metrics,
    compute_p_value,
    describe,
)
from sklenet.study.report.tables import (
    FITS,
    LATEX,
    TABLE,
    VARIANCE,
    render_tables,
    write_tables,
)
from sklenet.study.report.variance import decompose_variance

STUDY = """
name = "made"
title = "Made records"
data = ["digits"]
seeds = [0, 1, 2, 3]
notes = "Why they differ."

[[setting]]
name = "a"

[[setting]]
name = "b"
estimator = { lr = 0.002 }

[[published]]
data = "digits"
source = "somebody"
setting = "b"
figures = { test_accuracy = 0.75, train_loss = 6.03e-5, epochs = 72 }
why = "They say so."
"""
ACCURACY = {"a": [0.90, 0.91, 0.92, 0.93], "b": [0.92, 0.93, 0.94, None]}


@pytest.fixture
def folder(tmp_path):
    """Folder of a study with records of known accuracies in a shuffled order."""
    (tmp_path / "made.toml").write_text(STUDY)
    study = read_study(tmp_path / "made.toml")
    records = []
    for job in plan_jobs(study, "digits"):
        accuracy = ACCURACY[job.setting][job.seed]
        record = {"key": job.make_key(study), "kind": "fit", "run": 1, "data": "digits"}
        record |= {"setting": job.setting, "seed": job.seed, "n_train": 8, "n_test": 1000}
        record |= {"params": {"lr": 0.1}, "steps": []}
        if accuracy is None:
            record["error"] = "MemoryError: too large"
        else:
            history = [{"epoch": 1, "train_loss": 6.1e-5, "train_accuracy": 0.5}]
            record |= {"seconds": 1.5, "history": history, "n_parameters": 61706}
            record["tests"] = {"test": {"accuracy": accuracy}}
        records.append(record)
    records = [records[k] for k in np.random.default_rng(0).permutation(len(records))]
    records = [{"kind": "study", "study": study.to_record()}, *records]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / RECORDS).write_text(text)
    return tmp_path


def test_load_returns_one_row_per_fit_in_the_order_of_the_study(folder):
    fits = load(folder)
    assert isinstance(fits, pd.DataFrame)
    assert fits["setting"].tolist() == ["a"] * 4 + ["b"] * 4
    assert fits["seed"].tolist() == [0, 1, 2, 3] * 2
    accuracy = ACCURACY["a"] + ACCURACY["b"][:3]
    assert fits["test_accuracy"].dropna().tolist() == accuracy


def test_summary_has_mean_standard_deviation_n_and_confidence_interval(folder):
    summary = Results(folder).summary
    row = summary[(summary.setting == "a") & (summary.score == "test_accuracy")].iloc[0]
    values = np.array(ACCURACY["a"])
    assert (row["n"], row["failed"]) == (4, 0)
    assert row["mean"] == pytest.approx(0.915)
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    interval = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert (row["low"], row["high"]) == pytest.approx(interval)
    row = summary[(summary.setting == "b") & (summary.score == "test_accuracy")].iloc[0]
    assert (row["n"], row["failed"]) == (3, 1)


def test_differences_are_paired_over_the_seeds_of_both_settings(folder):
    (row,) = Results(folder).compare("test_accuracy").to_dict("records")
    assert (row["setting"], row["baseline"], row["n"]) == ("b", "a", 3)
    assert row["mean"] == pytest.approx(0.02)
    # The difference is the same for every seed, although the ranges overlap.
    assert row["low"] == pytest.approx(row["high"])
    assert row["p"] < 1e-6


def test_statistics_of_small_samples_are_nan():
    assert describe([0.5])["n"] == 1
    assert np.isnan(describe([0.5])["low"])
    assert describe([])["n"] == 0
    assert np.isnan(describe([])["mean"])


@pytest.mark.parametrize("value", [0.0, -0.25, 1e-17])
def test_interval_of_equal_values_is_their_value(value):
    described = describe([value] * 3)
    assert (described["low"], described["high"]) == (value, value)
    assert compute_p_value([value] * 3) == (0.0 if value else 1.0)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_interval_and_p_value_are_those_of_students_t_test(n):
    values = np.random.default_rng(n).normal(0.3, 1, n)
    described = describe(values)
    half_width = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)
    assert described["low"] == pytest.approx(values.mean() - half_width)
    assert described["high"] == pytest.approx(values.mean() + half_width)
    assert compute_p_value(values) == pytest.approx(stats.ttest_rel(values, 0 * values)[1])


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([0.99, 1.0, 0.995], (0, 1)),
        ([0.001, 0.03], (0, 1)),
        ([0.2, 0.9], (0, 1)),
        ([1.0, -0.9, 0.8], (-1, 1)),
        ([-0.001, -0.02], (-np.inf, 0)),
    ],
)
def test_interval_ends_where_the_range_of_the_metric_ends(values, limits):
    student, cut = describe(values), describe(values, limits)
    assert not limits[0] <= student["low"] <= student["high"] <= limits[1]
    assert cut["low"] == max(student["low"], limits[0])
    assert cut["high"] == min(student["high"], limits[1])
    assert cut["low"] <= cut["mean"] <= cut["high"]


def test_p_values_are_adjusted_by_the_method_of_holm():
    # Example from Holm's procedure: 4 hypotheses, in an arbitrary order.
    assert adjust_p_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )
    assert adjust_p_values([0.5, 0.9, 0.6]) == pytest.approx([1, 1, 1])
    assert adjust_p_values([0.02]) == pytest.approx([0.02])
    assert len(adjust_p_values([])) == 0


def test_nearly_equal_differences_raise_no_warning(recwarn):
    differences = np.array([0.02, 0.02 + 4e-17, 0.02 - 4e-17])
    assert describe(differences)["mean"] == pytest.approx(0.02)
    assert compute_p_value(differences) < 1e-6
    assert not recwarn.list


def test_class_metrics_agree_with_scikit_learn():
    y_true, y_pred = [0, 0, 0, 1, 1, 2], [0, 1, 0, 1, 1, 1]
    matrix = confusion_matrix(y_true, y_pred)
    metrics = compute_class_metrics(matrix, ["a", "b", "c"])
    expected = precision_recall_fscore_support(y_true, y_pred, labels=[0, 1])
    for name, values in zip(
        ("precision", "recall", "f1", "support"), expected, strict=False
    ):
        assert np.allclose(metrics[name][:2], values[:2])
    assert np.isnan(metrics["precision"][2])
    assert metrics["recall"][2] == 0


def test_tables_show_results_published_results_and_differences(folder):
    results = Results(folder)
    text = write_tables(results)
    assert (folder / TABLE).read_text() == text == render_tables(Results(folder))
    (row,) = [line for line in text.splitlines() if line.startswith("| digits | a ")]
    assert "0.9150 ± 0.0129" in row
    assert "0.8945 to 0.9355" in row
    assert "0.7500" not in row
    assert "| 61,706 " in row
    published = [line for line in text.splitlines() if line.startswith("| somebody")]
    wanted = [
        ("0.7500", "0.9300 ± 0.0100", "+0.1800", "They say so."),
        ("6.03e-05", "6.1e-05 ± 0", "+7e-07", "They say so."),
        ("72.0", "1.0 ± 0.0", "-71.0", "They say so."),
    ]
    for row, cells in zip(published, wanted, strict=True):
        for cell in cells:
            assert f"| {cell} " in row
    assert "Failed: digits, b, seed 3: MemoryError: too large" in text
    assert "+0.0200" in text
    assert text.rstrip().endswith("Why they differ.")
    assert pd.read_csv(folder / FITS)["test_accuracy"].tolist()[:4] == ACCURACY["a"]


def test_folder_without_records_is_rejected(tmp_path):
    with pytest.raises(StudyError, match="no records of a study"):
        load(tmp_path)


def test_fits_that_the_study_does_not_request_are_omitted(folder):
    lines = (folder / RECORDS).read_text().splitlines()
    study = json.loads(lines[0])
    study["study"]["seeds"] = [0, 2]
    lines.append(json.dumps(study))
    (folder / RECORDS).write_text("\n".join(lines) + "\n")
    assert load(folder)["seed"].tolist() == [0, 2, 0, 2]


def write_settings(folder, accuracies, metrics='["accuracy"]', n_seeds=3):
    """Write the records of a study of settings with the given test accuracies."""
    settings = "".join(
        f'[[setting]]\nname = "{name}"\nestimator = {{ lr = {0.001 * (k + 1)} }}\n'
        for k, name in enumerate(accuracies)
    )
    (folder / "s.toml").write_text(
        f'name = "s"\ntitle = "t"\ndata = ["digits"]\nseeds = {list(range(n_seeds))}\n'
        f"metrics = {metrics}\n{settings}"
    )
    study = read_study(folder / "s.toml")
    records = [{"kind": "study", "study": study.to_record()}]
    for job in plan_jobs(study, "digits"):
        accuracy = accuracies[job.setting][job.seed]
        test = {metric: accuracy for metric in study.metrics}
        history = [{"epoch": k, "train_loss": 0.5, "train_accuracy": 1.0} for k in (1, 2)]
        record = {"key": job.make_key(study), "kind": "fit", "data": "digits"}
        record |= {"setting": job.setting, "seed": job.seed, "params": {"lr": 0.1}}
        records.append(record | {"tests": {"test": test}, "history": history, "seconds": 1})
    (folder / RECORDS).write_text("".join(json.dumps(r) + "\n" for r in records))
    return Results(folder)


def test_intervals_of_accuracies_are_within_0_and_1(tmp_path):
    results = write_settings(tmp_path, {"a": [0.99, 1.0, 0.98], "b": [0.0, 0.01, 0.02]})
    accuracy = results.summary[results.summary.score == "test_accuracy"]
    assert accuracy["high"].tolist()[0] == 1
    assert accuracy["low"].tolist()[1] == 0
    loss = results.summary[results.summary.score == "train_loss"]
    assert (loss["low"] == loss["high"]).all()


def test_p_values_are_adjusted_for_all_comparisons_of_a_metric(tmp_path):
    accuracies = {
        "a": [0.90, 0.91, 0.92],
        "b": [0.93, 0.95, 0.94],
        "c": [0.91, 0.90, 0.93],
        "d": [0.95, 0.95, 0.99],
    }
    results = write_settings(tmp_path, accuracies, '["accuracy", "f1_macro"]')
    table = results.compare("test_accuracy")
    p = table["p"].to_numpy()
    assert p[0] < p[1]
    assert table["p_holm"].tolist() == pytest.approx(adjust_p_values(p))
    assert table["p_holm"].min() == pytest.approx(3 * p.min())
    text = write_tables(results)
    assert "adjusted by Holm's method" in text
    assert "p (Holm)" in text
    rows = [line for line in text.splitlines() if line.startswith("| digits | b ")]
    assert f" {table['p_holm'][0]:.4f} " in rows[1]
    differences = pd.read_csv(tmp_path / "differences.csv")
    assert differences["score"].tolist() == ["test_accuracy"] * 3 + ["test_f1_macro"] * 3
    assert differences["p_holm"][:3].tolist() == pytest.approx(table["p_holm"].tolist())
    latex = (tmp_path / "table.tex").read_text()
    assert latex.count(r"\toprule") == 2
    assert "p (Holm)" in latex


def test_a_page_has_no_column_of_mixed_formats(tmp_path):
    from sklenet.study.report.page import _render_page

    page = _render_page(write_settings(tmp_path, {"a": [0.5, 0.25, 1.0]}), [])
    assert "3.0 seconds of computation" in page
    assert "0.0 hours" not in page
    assert "2.0000" not in page  # epochs
    assert ">0.5000<" in page
    assert ">1.0000<" in page
    assert ">0.5833<" in page


def write_search(folder, scores, kind="", columns=()):
    """Write the records of a search over lr and pooling with the given scores."""
    (folder / "g.toml").write_text(
        'name = "g"\ntitle = "t"\ndata = ["digits"]\n[search]\ncv = 2\n'
        f'{kind}\ngrid = {{ lr = [0.1, 0.2, 0.3], pooling = ["max", "avg"] }}\n'
    )
    study = read_study(folder / "g.toml")
    candidates = [
        {"lr": lr, "pooling": p} for lr in (0.1, 0.2, 0.3) for p in ("max", "avg")
    ]
    folds = np.array(scores, dtype=float)
    mean = folds.mean(axis=1)
    plain = [[None if np.isnan(x) else x for x in column] for column in folds.T]
    results = {
        "params": candidates,
        "param_lr": [c["lr"] for c in candidates],
        "param_pooling": [c["pooling"] for c in candidates],
        "split0_test_score": plain[0],
        "split1_test_score": plain[1],
        "mean_test_score": [None if np.isnan(x) else x for x in mean],
        "rank_test_score": stats.rankdata(-np.nan_to_num(mean), method="min").tolist(),
    } | dict(columns)
    search = {"kind": "search", "of": hash_search(study), "data": "digits", "best": 0}
    records = [{"kind": "study", "study": study.to_record()}]
    records.append(search | {"cv_results": results})
    text = "".join(json.dumps(r) + "\n" for r in records)
    (folder / RECORDS).write_text(text)
    return Results(folder)


COLLAPSED = [
    *([0.98, 0.97], [0.96, 0.97], [0.95, 0.96]),
    *([0.98, 0.11], [0.10, 0.10], [np.nan, 0.9]),
]


def test_collapsed_candidates_are_listed_instead_of_averaged(tmp_path):
    results = write_search(tmp_path, COLLAPSED)
    candidates = results.candidates("digits")
    assert (candidates.index == results.comparable_candidates("digits").index).all()
    collapsed = candidates[results.find_collapsed("digits")]
    pairs = sorted(zip(collapsed["lr"], collapsed["pooling"], strict=True))
    assert pairs == [(0.2, "avg"), (0.3, "max")]
    effects = results.main_effects("digits").set_index(["parameter", "value"])
    assert effects["collapsed"].tolist() == [0, 1, 1, 1, 1]
    assert effects["mean"]["lr", "0.2"] == pytest.approx(0.955)
    assert effects["mean"]["pooling", "max"] == pytest.approx((0.975 + 0.955) / 2)
    assert effects["n"]["lr", "0.3"] == 0
    assert np.isnan(effects["mean"]["lr", "0.3"])


FULL = [[0.98, 0.97], [0.96, 0.97], [0.9, 0.91], [0.89, 0.9], [0.93, 0.94], [0.9, 0.95]]


def test_variance_shares_are_those_of_all_candidates(tmp_path):
    results = write_search(tmp_path, FULL)
    factors = pd.DataFrame(results.cv_results("digits")["params"])
    expected = decompose_variance(factors, FULL)
    pd.testing.assert_frame_equal(results.variance_shares("digits"), expected)
    copy = results.variance_shares("digits")
    copy["share"] = 0.0
    assert results.variance_shares("digits")["share"].sum() == pytest.approx(1)


def test_variance_shares_are_without_the_candidates_that_collapsed_or_failed(tmp_path):
    scores = [*FULL[:5], [0.98, 0.11]]
    results = write_search(tmp_path, scores)
    factors = pd.DataFrame(results.cv_results("digits")["params"])
    expected = decompose_variance(factors[:5], FULL[:5])
    pd.testing.assert_frame_equal(results.variance_shares("digits"), expected)
    failed = write_search(tmp_path, [*FULL[:5], [np.nan, 0.9]])
    pd.testing.assert_frame_equal(failed.variance_shares("digits"), expected)
    for text in (render_tables(failed), render_tables(results)):
        assert "Analysis of variance of 5 candidates on 2 folds" in text
        assert "without the 1 that failed or collapsed" in text


def test_variance_shares_need_all_combinations(tmp_path):
    kind = 'kind = "random"\nn_iter = 6'
    assert not len(write_search(tmp_path, FULL, kind).variance_shares("digits"))


def test_variance_shares_of_halving_are_those_of_the_first_round(tmp_path):
    kind = 'kind = "halving"\nresource = "max_epochs"\nmin_resources = 1\n'
    kind += "max_resources = 3"
    # The fourth and the sixth candidate have been trained further.
    columns = {"iter": [0, 0, 0, 1, 0, 1], "n_resources": [1, 1, 1, 3, 1, 3]}
    results = write_search(tmp_path, FULL, kind, columns)
    factors = pd.DataFrame(results.cv_results("digits")["params"])
    first = [0, 1, 2, 4]
    expected = decompose_variance(factors.loc[first], np.array(FULL)[first])
    assert len(expected)
    pd.testing.assert_frame_equal(results.variance_shares("digits"), expected)
    assert "4 candidates on 2 folds, with max_epochs = 1" in render_tables(results)


def test_variance_shares_are_in_every_table_and_in_a_figure(tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    results = write_search(tmp_path, FULL)
    shares = results.variance_shares("digits")
    write_tables(results)
    csv = pd.read_csv(tmp_path / VARIANCE.format("digits"))
    pd.testing.assert_frame_equal(csv, shares, check_dtype=False)
    texts = [f"{share:.1%}" for share in shares["share"]]
    markdown = (tmp_path / TABLE).read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
        if "%" in line
    ]
    assert [row[0] for row in rows] == shares["term"].tolist()
    assert [row[1] for row in rows] == texts
    assert rows[-1][3:] == ["", ""]  # no test of the remainder
    latex = (tmp_path / LATEX).read_text()
    assert "lr $\\times$ pooling" in latex
    assert "tab:g-variance-digits" in latex
    figures = {f.name: f for f in iter_figures(results, "digits")}
    assert "6 candidates on 2 folds." in figures["variance_digits"].caption
    drawn = figures["variance_digits"].draw()
    (ax,) = drawn.axes
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(100 * shares["share"])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == shares["term"].tolist()
    assert [text.get_text() for text in ax.texts] == texts
    plt.close(drawn)


def test_figures_of_effects_show_the_range_of_what_has_not_collapsed(tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    figures = {f.name: f for f in iter_figures(write_search(tmp_path, COLLAPSED), "digits")}
    effects = figures["main_effects_digits"]
    assert effects.title == "Main effects, digits"
    assert "2 candidates with a score at chance level" in effects.caption
    assert "lr 0.2, pooling avg; lr 0.3, pooling max" in effects.caption
    for name, figure in figures.items():
        drawn = figure.draw()
        assert drawn.get_figwidth() in (3.5, 7.16)
        if name.startswith("main"):
            low, high = drawn.axes[0].get_ylim()
            assert 0.9 < low < 0.955
            assert 0.975 < high <= 1.01
        plt.close(drawn)


@pytest.mark.parametrize(
    "scores",
    [
        [[0.10, 0.11]] * 6,  # all at chance level
        [[0.98, 0.97], [0.4, 0.5], [0.6, 0.3], [0.2, 0.25], [0.9, 0.9], [0.8, 0.7]],
        [[np.nan, np.nan]] * 5 + [[0.9, 0.9]],
    ],
)
def test_low_scores_are_not_collapsed_ones(tmp_path, scores):
    assert not write_search(tmp_path, scores).find_collapsed("digits").any()
