"""Studies of custom data, and samples of training images."""

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import own_data
import pandas as pd
import pytest

from sklenet import LeNet5Classifier
from sklenet.cli import main
from sklenet.datasets import load_digits
from sklenet.datasets.registry import DATASETS
from sklenet.study import Study, StudyError, load, read_study, run_study
from sklenet.study.engine.data import Sample, draw_rows, make_data_key, open_datasets
from sklenet.study.engine.journal import JournalError
from sklenet.study.engine.plan import plan_jobs
from sklenet.study.engine.records import RECORDS, StudyJournal
from sklenet.study.report.files import ReportFiles
from sklenet.study.report.page import write_page
from sklenet.study.report.results import Results
from sklenet.study.report.tables import render_tables

QUICK = {"max_epochs": 1, "batch_size": 64}
HEAD = 'name = "s"\ntitle = "t"\n[estimator]\nmax_epochs = 1\nbatch_size = 64\n'


def write(folder, data, tables, top=""):
    path = folder / "s.toml"
    path.write_text(f"data = {json.dumps(data)}\n{top}{HEAD}{tables}")
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The embedded digits as scans, CSV files and arrays."""
    folder = tmp_path_factory.mktemp("data")
    own_data.write_digits(folder / "own_data")
    return folder


@pytest.fixture
def letters(tmp_path):
    """A CSV file with 12 classes of text."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (120, 64))
    frame = pd.DataFrame(X, columns=[f"p{k}" for k in range(64)])
    frame.insert(0, "label", [f"{'abcdefghijkl'[k % 12]}{k % 12}" for k in range(120)])
    frame.to_csv(tmp_path / "letters.csv", index=False)
    return tmp_path


def test_a_folder_a_csv_file_and_arrays_have_the_same_results(written):
    text = (own_data.FOLDER.parent / "own_data.toml").read_text()
    text = text.replace("max_epochs = 10", "max_epochs = 1").replace("[0, 1, 2]", "[0]")
    (written / "s.toml").write_text(text.replace("[100, 300, 1000]", "[300]"))
    results = Results(run_study(read_study(written / "s.toml"), written / "results"))
    assert results.fits["error"].isna().all()
    for column in ("test_accuracy", "train_loss", "n_train", "n_test"):
        assert results.fits[column].nunique() == 1
    assert set(results.fits["n_test"]) == {360}
    fingerprints = {record["fingerprint"] for record in results.fit_records}
    assert len(fingerprints) == 1
    X, y = load_digits(return_X_y=True)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    rows = draw_rows(y, Sample(300, 0))
    X_test, y_test = load_digits(subset="test", return_X_y=True)
    params = {"max_epochs": 1, "lr": 0.002, "batch_size": 16, "random_state": 0}
    expected = LeNet5Classifier(**params).fit(X[rows], y[rows]).score(X_test, y_test)
    assert results.fits["test_accuracy"][0] == expected


def test_text_labels_and_many_classes_in_study_and_report(letters):
    path = write(letters, ["letters"], '[dataset.letters]\nfile = "letters.csv"\n')
    results = Results(run_study(read_study(path), letters / "out"))
    (record,) = results.fit_records
    test = record["tests"]["test"]
    assert np.shape(test["confusion"]) == (12, 12)
    assert np.sum(test["confusion"]) == record["n_test"] == 24
    assert len(test["mistakes"]) == len(test["images"]) > 0
    frame = pd.read_csv(letters / "letters.csv")
    names = sorted(set(frame["label"]))
    assert results.study.get_dataset("letters").class_names == tuple(names)
    dataset = open_datasets(read_study(path)).get_dataset("letters")
    images, labels = dataset.source("test")
    for (row, _, _), (true, pixels) in zip(test["mistakes"], test["images"], strict=True):
        assert labels[row] == names[true]
        assert base64.b64decode(pixels) == images[row].tobytes()
    shutil.move(letters / "letters.csv", letters / "moved.csv")  # the report needs no data
    files = ReportFiles(results.folder)
    page = write_page(Results(results.folder), files)
    assert files.errors == []
    text = Path(page).read_text()
    assert all(name in text for name in names)


def test_changed_data_are_another_fit(letters):
    path = write(letters, ["letters"], '[dataset.letters]\nfile = "letters.csv"\n')
    first = Results(run_study(read_study(path), letters / "out"))
    again = Results(run_study(read_study(path), letters / "out"))
    assert again.fits.equals(first.fits)
    frame = pd.read_csv(letters / "letters.csv")
    frame.iloc[0, 1] = 255 - frame.iloc[0, 1]
    frame.to_csv(letters / "letters.csv", index=False)
    changed = Results(run_study(read_study(path), letters / "out"))
    (old,), (new,) = first.fit_records, changed.fit_records
    assert old["fingerprint"] != new["fingerprint"]
    assert old["key"] != new["key"]
    assert changed.n_not_requested == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_arrays_from_python_in_a_search(tmp_path, n_jobs):
    X, y = load_digits(return_X_y=True)
    X, y = X[:300].reshape(-1, 8, 8), np.array([f"digit {k}" for k in y[:300]])
    study = Study(
        name="mine",
        title="t",
        data=("mine",),
        estimator=QUICK,
        search={"kind": "grid", "grid": {"lr": [0.01, 0.001]}, "cv": 2},
        n_train=200,
    )
    folder = run_study(study, tmp_path, datasets={"mine": (X, y)}, n_jobs=n_jobs)
    results = Results(folder)
    assert results.fits["n_train"].tolist() == [200]
    assert results.fits["n_test"].tolist() == [60]
    assert set(results.folds["n_train"]) == {100}
    assert all(
        "fingerprint" in r for r in results.records if r["kind"] in ("fold", "search")
    )
    assert results.winner("mine") is not None


def test_arrays_must_belong_to_the_study(tmp_path):
    study = Study(name="mine", title="t", data=("mine",), estimator=QUICK)
    arrays = np.zeros((4, 16)), [0, 1, 0, 1]
    for datasets, message in [
        ({}, "unknown dataset 'mine'"),
        ({"mnist": arrays}, "is the name of another dataset"),
        ({"mine": arrays, "other": arrays}, "the study has no dataset 'other'"),
        ({"mine": arrays[0]}, r"must be \(X, y\)"),
        ({"mine": (arrays[0], [1] * 4)}, "at least two classes"),
    ]:
        with pytest.raises(StudyError, match=message):
            run_study(study, tmp_path, datasets=datasets)
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "s.toml"
    path.write_text('name = "s"\ntitle = "t"\ndata = ["mine"]\n')
    with pytest.raises(StudyError, match="Input should be"):
        read_study(path)
    assert read_study(path, datasets=["mine"]).data == ("mine",)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('file = "letters.csv"\nlabel = "lable"\n', "Did you mean 'label'?"),
        ('file = "letters.csv"\nimage_shape = [8, 9]\n', "are 72 pixels, but the images"),
        ('file = "none.csv"\n', "there is no such file"),
        ('folder = "none"\n', "is not a folder"),
    ],
)
def test_the_command_names_the_line_of_a_dataset_that_cannot_be_read(
    letters, table, message, capsys
):
    path = write(letters, ["letters"], f"[dataset.letters]\n{table}")
    for options in ([], ["--dry-run"]):
        assert main(["study", str(path), "--out", str(letters / "out"), *options]) == 2
        told = capsys.readouterr().err
        assert message in told
        assert f"{path}:7: dataset.letters: " in told
    assert not (letters / "out").exists()


def test_images_that_are_not_square_have_their_shape(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 256, (40, 60)))
    frame["label"] = np.arange(40) % 2
    frame.to_csv(tmp_path / "t.csv", index=False)
    table = '[dataset.t]\nfile = "t.csv"\nimage_shape = [6, 10]\n'
    fits = load(run_study(read_study(write(tmp_path, ["t"], table)), tmp_path / "out"))
    assert fits["error"].isna().all()
    assert fits["image_shape"].tolist() == [[6, 10]] or fits["image_shape"].tolist() == [
        [1, 6, 10]
    ]


# Samples of training images


@pytest.mark.parametrize("n", [10, 57, 500, 1437])
def test_a_sample_is_stratified_seeded_and_part_of_larger_ones(n):
    _, y = load_digits(return_X_y=True)
    rows = draw_rows(y, Sample(n, 0))
    assert len(set(rows)) == n
    assert np.array_equal(rows, np.sort(rows))
    expected = np.bincount(y) * n / len(y)
    assert np.abs(np.bincount(y[rows], minlength=10) - expected).max() <= 1
    assert set(rows) <= set(draw_rows(y, Sample(min(n + 200, 1437), 0)))
    if n < 1437:
        assert set(rows) != set(draw_rows(y, Sample(n, 1)))


def test_rare_classes_are_in_a_sample():
    y = np.array(["common"] * 990 + ["rare"] * 8 + ["rarest"] * 2)
    assert set(y[draw_rows(y, Sample(3, 0))]) == {"common", "rare", "rarest"}


def test_all_seeds_use_the_same_images_unless_asked_otherwise(tmp_path, monkeypatch):
    from sklenet.study.engine import fit

    used = []
    train = fit.train

    def record_images(pipeline, X, y, *others):
        used.append(X.tobytes())
        return train(pipeline, X, y, *others)

    monkeypatch.setattr(fit, "train", record_images)
    top = "seeds = [0, 1]\nn_train = 100\n"
    path = write(
        tmp_path, ["digits"], '[[setting]]\nname="a"\n[[setting]]\nname="b"\n', top
    )
    run_study(read_study(path), tmp_path / "same")
    assert len(used) == 2  # both settings are the same fit
    assert len(set(used)) == 1
    X, y = load_digits(return_X_y=True)
    assert used[0] == X[draw_rows(y, Sample(100, 0))].tobytes()
    used.clear()
    path = write(tmp_path, ["digits"], "", f'{top}train_rows = "by_seed"\n')
    run_study(read_study(path), tmp_path / "by_seed")
    assert used == [X[draw_rows(y, Sample(100, seed))].tobytes() for seed in (0, 1)]


def test_a_learning_curve_over_n_train(tmp_path):
    top = "n_train = [100, 200]\nseeds = [0, 1]\nvalidation = 0.1\n"
    results = Results(run_study(read_study(write(tmp_path, ["digits"], "", top)), tmp_path))
    assert results.fits["n_train"].tolist() == [90, 90, 180, 180]
    assert results.fits["n_valid"].tolist() == [10, 10, 20, 20]
    assert "samples of the training set (n_train), of which 10%" in render_tables(results)


@pytest.mark.parametrize("n", [9, 1438])
def test_impossible_sizes_are_errors_before_any_work(tmp_path, n, capsys):
    path = write(tmp_path, ["digits"], "", f"n_train = {n}\n")
    assert main(["study", str(path), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert f"{path}:2: n_train: must be between 10, one image per class, and 1,437" in told
    assert not (tmp_path / "out").exists()


# Records


def test_keys_of_verified_datasets_are_their_names(tmp_path):
    assert make_data_key(DATASETS["mnist"]) == "mnist"
    path = write(tmp_path, ["digits"], "")
    study = read_study(path)
    (job,) = plan_jobs(study, "digits")
    (record,) = Results(run_study(study, tmp_path / "out")).fit_records
    assert record["key"] == job.make_key(study)
    assert len(record["fingerprint"]) == 24
    assert "images" not in record["tests"]["test"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"confusion": [[1, 2], [3]]}, "confusion: not a matrix of 2 classes"),
        ({"confusion": [[1]]}, "confusion: not a matrix"),
        (
            {"confusion": [[1] * 3] * 3, "mistakes": [[0, 3, 0.5]]},
            "3 is not one of 3 classes",
        ),
        ({"confusion": [[1] * 3] * 3, "images": [[3, ""]]}, "3 is not one of 3 classes"),
        ({"images": [["a", ""]]}, "images.0.0"),
    ],
)
def test_invalid_matrices_and_classes_in_records(letters, change, message):
    path = write(letters, ["letters"], '[dataset.letters]\nfile = "letters.csv"\n')
    folder = run_study(read_study(path), letters / "out")
    records = list(StudyJournal(folder / RECORDS))
    records[-1]["tests"]["test"] |= {"mistakes": [], "images": []} | change
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / RECORDS).write_text(text)
    with pytest.raises(JournalError, match=message):
        load(folder)
