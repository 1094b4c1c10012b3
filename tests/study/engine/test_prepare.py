"""Checks before training, which a run and a dry run make alike."""

import os
import re
import time

import pytest
from filelock import FileLock

from sklenet.cli import main
from sklenet.study import StudyError, read_study, run_study
from sklenet.study.config.spec import MAX_FITS, MAX_SETTINGS

HEAD = 'name = "s"\ntitle = "t"\ndata = ["digits"]\n'
QUICK = "[estimator]\nmax_epochs = 1\nbatch_size = 256\n"
GRID = "grid = { lr = [0.001, 0.002] }\n"

FIRST = "validation_rows = 'first'\n"

INVALID = [
    (
        f"{QUICK}[search]\ncv = 1000\n{GRID}",
        8,
        r"search\.cv: must be between 2 and 139.* Got 1000",
    ),
    (
        f"{QUICK}[search]\ncv = 140\n{GRID}",
        8,
        r"digits has only 139 training images of",
    ),
    (f"validation = 1e-9\n{QUICK}", 4, "validation: 1e-09 is not possible for digits: "),
    (f"validation = 0.9999\n{QUICK}", 4, "validation: 0.9999 is not possible for digits: "),
    (
        f"validation = 1e-9\nvalidation_rows = 'first'\n{QUICK}",
        4,
        "1e-09 holds out 0 images of digits. Increase it",
    ),
    (
        f"validation = 0.999\nvalidation_rows = 'first'\n{QUICK}",
        4,
        "leaves no image of class 0 to train on. Decrease",
    ),
    (
        f"metrics = ['roc_auc']\n{QUICK}",
        4,
        "'roc_auc' cannot be computed on digits",
    ),
    (
        f"metrics = ['accuracy', 'f1']\n{QUICK}",
        4,
        "metrics: 'f1' cannot be computed on",
    ),
    (
        f"metrics = ['precision']\n{QUICK}[search]\ncv = 2\n{GRID}",
        4,
        "'precision' cannot be",
    ),
    (f"{QUICK}class_weight = {{ cat = 2.0 }}\n", 7, "class_weight: not valid for digits"),
    (
        f"{QUICK}[search]\ncv = 2\nkind = 'halving'\nresource = 'n_samples'\n"
        f"min_resources = 100000\n{GRID}",
        7,
        "rounds of 100000 to 1437 images are not possible",
    ),
    (
        f"{QUICK}[search]\ncv = 2\nkind = 'halving'\nresource = 'n_samples'\n"
        f"max_resources = 10\n{GRID}",
        7,
        "rounds of 40 to 10 images are not possible",
    ),
]

# Steps that fail on the images of digits, which have 8x8 pixels from 0 to 16.
DARK = "{ transformer = 'Inverter', maximum = 8 }"
TINY = "{ transformer = 'Resizer', size = 2 }"
INVALID += [
    (f"steps = [{DARK}]\n{QUICK}", 4, "steps: not possible for digits: The 'maximum'"),
    (
        f"{QUICK}[[setting]]\nname = 'a'\n[[setting]]\nname = 'b'\nsteps = [{DARK}]\n",
        11,
        r"setting\.1\.steps: not possible for digits: The 'maximum'",
    ),
    (
        f"steps = [{TINY}]\n{QUICK}kernel_size = 9\npadding = 0\n",
        4,
        "steps: not possible for digits: The 'kernel_size' parameter is 9",
    ),
    (
        f"{QUICK}[[test]]\nname = 'a'\nsteps = [{DARK}]\n",
        9,
        r"test\.0\.steps: not possible for digits: The 'maximum'",
    ),
    (
        f"{QUICK}[[test]]\nname = 'a'\nsteps = [{TINY}]\n",
        9,
        r"test\.0\.steps: .* must not change the number of pixels.* with 64\..* have 4\.",
    ),
]


@pytest.mark.parametrize("options", [["--dry-run"], []])
@pytest.mark.parametrize(("text", "line", "message"), INVALID)
def test_an_invalid_study_is_an_error_before_training(
    tmp_path, capsys, text, line, message, options
):
    path = tmp_path / "s.toml"
    path.write_text(HEAD + text)
    assert main(["study", str(path), "--out", str(tmp_path / "out"), *options]) == 2
    shown, told = capsys.readouterr()
    assert shown == ""
    assert told.startswith(f"sklenet: error: {path}:{line}: ")
    assert re.search(message, told)
    assert not (tmp_path / "out").exists()


def test_steps_are_tried_on_the_training_images_of_the_fit(tmp_path, capsys):
    path = tmp_path / "s.toml"
    step = "{ transformer = 'sklearn.decomposition.PCA', n_components = 60 }"
    path.write_text(f"{HEAD}n_train = 1000\nsteps = [{step}]\n{QUICK}")
    assert main(["study", str(path), "--dry-run", "--out", str(tmp_path)]) == 0
    path.write_text(f"{HEAD}n_train = 50\nsteps = [{step}]\n{QUICK}")
    assert main(["study", str(path), "--dry-run", "--out", str(tmp_path)]) == 2
    assert "steps: not possible for digits: n_components=60" in capsys.readouterr().err


def test_steps_that_a_grid_changes_are_not_tried_without_it(tmp_path, capsys):
    path = tmp_path / "s.toml"
    grid = "grid = { inverter__maximum = [16, 20] }"
    path.write_text(f"{HEAD}steps = [{DARK}]\n{QUICK}[search]\ncv = 2\n{grid}\n")
    assert main(["study", str(path), "--out", str(tmp_path), "--quiet"]) == 0
    assert "inverter" in capsys.readouterr().out


@pytest.mark.parametrize("metric", ["roc_auc_ovr", "f1_macro", "neg_log_loss", "r2"])
def test_metrics_for_several_classes_are_valid(tmp_path, metric):
    path = tmp_path / "s.toml"
    path.write_text(f"{HEAD}metrics = ['{metric}']\n{QUICK}")
    folder = run_study(read_study(path), tmp_path)
    assert '"error"' not in (folder / "records.jsonl").read_text()


@pytest.mark.parametrize("options", [["--dry-run"], []])
def test_folder_lock_journal_and_options_are_checked(tmp_path, capsys, options):
    path = tmp_path / "s.toml"
    path.write_text(HEAD + QUICK)
    run_study(read_study(path), tmp_path)
    command = ["study", str(path), "--out", str(tmp_path), *options]

    def error_of(*more):
        assert main([*command, *more]) == 2
        return capsys.readouterr().err

    with FileLock(tmp_path / "s" / "run.lock"):
        assert "another process is running this study" in error_of()
    path.write_text(HEAD + QUICK + "lr = 0.5\n")
    assert "has the records of another study" in error_of()
    assert "n_jobs must be at least 1" in error_of("--n-jobs", "0")
    assert "--workers must be at least 1. Got 0." in error_of("--workers", "0")
    (tmp_path / "file").write_text("")
    assert "is not a folder" in error_of("--out", str(tmp_path / "file" / "below"))
    if options and os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        assert "cannot be written" in error_of("--out", str(tmp_path / "closed"))
    (tmp_path / "s" / "records.jsonl").write_text("{}\n")
    assert "records.jsonl:1: the key 'kind' of the record is missing" in error_of("--keep")


def test_a_dry_run_of_a_diverging_study_has_the_exit_code_of_the_run(tmp_path, capsys):
    path = tmp_path / "s.toml"
    path.write_text(f'{HEAD}{QUICK}optimizer = "sgd"\nlr = 1e30\n')
    command = ["study", str(path), "--out", str(tmp_path / "out")]
    assert main([*command, "--dry-run"]) == 1
    assert (
        "parameters of the study failed: ValueError: Training diverged"
        in capsys.readouterr().out
    )
    assert main(command) == 1


def values(n, step=1):
    return list(range(1, 1 + n * step, step))


TOO_MANY = [
    (f"[[setting]]\nname = 'a'\n[setting.grid]\nbatch_size = {values(10_001)}\n", "10,001"),
    (
        f"[[setting]]\nname = 'a'\n[setting.grid]\nbatch_size = {values(1000)}\n"
        f"max_epochs = {values(1000)}\nn_iter_no_change = {values(1000)}\n",
        "1,000,000,000 settings",
    ),
    (
        f"[search]\n[search.grid]\nbatch_size = {values(1000)}\n"
        f"max_epochs = {values(1000)}\nn_iter_no_change = {values(1000)}\n",
        "1,000,000,000 candidates",
    ),
    (
        "[search]\nkind = 'random'\nn_iter = 1000000000\n"
        "grid = { lr = { uniform = [0.1, 0.2] } }\n",
        "1,000,000,000 candidates",
    ),
    ("[search]\ncv = 1000000\ngrid = { lr = [0.1, 0.2] }\n", "2,000,001 fits"),
    (
        f"seeds = {values(1000)}\n[[setting]]\nname = 'a'\n[setting.grid]\n"
        f"batch_size = {values(1000)}\n",
        "1,000,000 fits",
    ),
    (
        "[search]\nkind = 'random'\nn_iter = 3\n[search.grid]\n"
        + "".join(
            f"{name} = {values(1000)}\n"
            for name in ("batch_size", "max_epochs", "n_iter_no_change", "lr")
        ),
        "more than 2,147,483,647 combinations",
    ),
]


@pytest.mark.parametrize(("text", "message"), TOO_MANY)
def test_fits_are_counted_before_grids_are_expanded(tmp_path, text, message):
    path = tmp_path / "s.toml"
    path.write_text(HEAD + text)
    start = time.process_time()
    with pytest.raises(StudyError, match=r"s\.toml:\d+: ") as error:
        read_study(path)
    assert message in str(error.value)
    assert time.process_time() - start < 5


def test_many_settings_are_read_in_linear_time(tmp_path):
    path = tmp_path / "s.toml"

    def seconds(text):
        path.write_text(HEAD + text)
        start = time.process_time()
        study = read_study(path)
        return time.process_time() - start, study

    took, study = seconds(f"seeds = {values(10_000)}\n")
    assert len(study.seeds) == 10_000
    assert took < 2
    grid = "[[setting]]\nname = 'a'\n[setting.grid]\nbatch_size = {}\nmax_epochs = {}\n"
    few, study = seconds(grid.format(values(40), values(40)))
    assert len(study.settings) == 1600
    many, study = seconds(grid.format(values(100), values(80)))
    assert len(study.settings) == 8000 <= MAX_SETTINGS <= MAX_FITS
    assert many < 5 * few + 2


def test_the_largest_search_is_valid(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        f"{HEAD}{QUICK}[search]\ncv = 9\n[search.grid]\nlr = {values(10_000)}\n"
    )
    assert len(read_study(path).search.grid["lr"]) == MAX_SETTINGS
