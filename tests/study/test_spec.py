from pathlib import Path

import pytest

from sklenet.study import StudyError, read_study

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

GOOD = """
name = "small"
title = "A small study"
data = ["digits"]
seeds = [0, 1]

[estimator]
max_epochs = 1

[search]
cv = 2

[search.grid]
pooling = ["max", "avg"]
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "small.toml"
        path.write_text(text)
        return read_study(path)

    return read


def test_a_good_study(read):
    study = read(GOOD)
    assert study.seeds == (0, 1)
    assert study.search.grid == {"pooling": ["max", "avg"]}
    assert study.estimator == {"max_epochs": 1}


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.toml")), ids=lambda p: p.stem)
def test_the_studies_of_this_project(path):
    assert read_study(path).name == path.stem


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds =", "sedes =", "unknown key 'sedes'. Did you mean 'seeds'?"),
        (
            "cv = 2",
            "cvv = 2",
            "unknown key 'search.cvv'. Did you mean 'cv'? Known: grid, cv.",
        ),
        ('name = "small"', "", "the key 'name' is missing"),
        ('name = "small"', 'name = "../x"', "name: "),
        ("seeds = [0, 1]", 'seeds = "0"', "seeds: Input should be a valid tuple. Got '0'."),
        ("seeds = [0, 1]", 'seeds = ["0"]', "seeds.0: Input should be a valid integer"),
        ("seeds = [0, 1]", "seeds = [-1]", "seeds.0: "),
        ("seeds = [0, 1]", "seeds = []", "seeds: "),
        (
            "cv = 2",
            "cv = 1",
            "search.cv: Input should be greater than or equal to 2. Got 1.",
        ),
        ('["digits"]', '["digit"]', "data.0: Input should be 'digits', 'mnist'"),
        ("max_epochs", "max_epoch", "'estimator.max_epoch': LeNet5Classifier has no such"),
        ("max_epochs", "max_epoch", "Did you mean 'max_epochs'?"),
        (
            "max_epochs = 1",
            "max_epochs = 0",
            "estimator.max_epochs: The 'max_epochs' param",
        ),
        ("max_epochs = 1", "random_state = 1", "decided by the key 'seeds'"),
        ("max_epochs = 1", "verbose = 1", "decided by the command"),
        ("max_epochs = 1", "net_params = {nonsense = 1}", "nonsense"),
        ("max_epochs = 1", "net_params = {optimizer__betaz = 1}", "betaz"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "seeds: [0, 0] names one of them twice"),
        ('["digits"]', '["digits", "digits"]', "data: "),
        ("max_epochs = 1", 'pooling = "max"', "'pooling' is both in 'estimator' and in"),
        ('"avg"', '"mean"', "search.grid.pooling: The 'pooling' parameter of LeNet5Class"),
        ('["max", "avg"]', '"max"', "search.grid.pooling: Input should be a valid list"),
        ('["max", "avg"]', "[]", "search.grid.pooling: "),
        ("pooling =", "poling =", "'search.grid.poling'"),
        ("[search.grid]", "[search", "not a TOML file"),
    ],
)
def test_a_bad_study_names_the_file_the_key_and_what_is_right(read, old, new, message):
    assert old in GOOD
    with pytest.raises(StudyError) as error:
        read(GOOD.replace(old, new))
    assert "small.toml: " in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("published", "message"),
    [
        ('data = "mnist"\nsource = "a"\naccuracy = 0.5', "'mnist', which is not in 'data'"),
        ('data = "digits"\nsource = "test accuracy"\naccuracy = 0.5', "column of our own"),
        ('data = "digits"\nsource = "a"\naccuracy = 99.2', "published.0.accuracy: "),
    ],
)
def test_published_figures_cannot_pass_for_ours(read, published, message):
    with pytest.raises(StudyError) as error:
        read(f"{GOOD}\n[[published]]\n{published}\n")
    assert message in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(StudyError, match=r"none\.toml: No such file"):
        read_study(tmp_path / "none.toml")
