import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from sklenet.study import StudyError, load, read_study
from sklenet.study.engine.plan import plan_jobs
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import (
    compute_class_metrics,
    compute_p_value,
    describe,
)
from sklenet.study.report.tables import FITS, TABLE, render_tables, write_tables

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
