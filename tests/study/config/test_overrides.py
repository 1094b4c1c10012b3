"""Values that replace those of a study file."""

import pytest

from sklenet.study import StudyError, read_study
from sklenet.study.config.overrides import apply_overrides, read_overrides

STUDY = """
name = "s"
title = "t"
data = ["digits", "mnist"]
steps = [{ transformer = "Inverter", maximum = 16 }]

[estimator]
max_epochs = 5
class_weight = { 0 = 2.0 }

[[setting]]
name = "plain"

[[setting]]
name = "Adam, 0.001"
estimator = { lr = 0.001 }

[[setting]]
name = "like it"
like = "Adam, 0.001"
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(STUDY)
    return path


@pytest.mark.parametrize(
    ("option", "read", "expected"),
    [
        ("estimator.max_epochs=1", lambda s: s.estimator["max_epochs"], 1),
        (" estimator . max_epochs = 1 ", lambda s: s.estimator["max_epochs"], 1),
        ("estimator.lr=1e-3", lambda s: s.estimator["lr"], 0.001),
        ("seeds=[0]", lambda s: s.seeds, (0,)),
        ("seeds=[0, 1]", lambda s: s.seeds, (0, 1)),
        ('title="a = b"', lambda s: s.title, "a = b"),
        ("title=two words", lambda s: s.title, "two words"),
        ("title='it''", None, "not a value"),
        ("estimator.activation=tanh", lambda s: s.estimator["activation"], "tanh"),
        ("estimator.feature_range=none", lambda s: s.estimator["feature_range"], None),
        ("estimator.augment=none", lambda s: s.estimator["augment"], None),
        (
            "estimator.augment=['flip', {shift = 1}]",
            lambda s: s.estimator["augment"],
            ["flip", {"shift": 1}],
        ),
        (
            'estimator.class_weight."0"=3.0',
            lambda s: s.estimator["class_weight"],
            {"0": 3.0},
        ),
        ("estimator.class_weight.0=3.0", lambda s: s.estimator["class_weight"], {"0": 3.0}),
        ("data.1=fashion_mnist", lambda s: s.data, ("digits", "fashion_mnist")),
        ("steps.0.maximum=255", lambda s: s.steps[0]["maximum"], 255),
        ("setting.0.estimator.lr=0.5", lambda s: s.settings[0].estimator, {"lr": 0.5}),
        ("setting.plain.seeds=[7]", lambda s: s.settings[0].seeds, (7,)),
        (
            'setting."Adam, 0.001".estimator.lr=0.5',
            lambda s: [setting.estimator.get("lr") for setting in s.settings],
            [None, 0.5, 0.5],  # also of the setting that is like it
        ),
        ("setting=[]", lambda s: s.settings, []),
        ("validation=0.1", lambda s: s.validation, 0.1),
        ("name=other", lambda s: s.name, "other"),
    ],
)
def test_an_option_replaces_or_adds_a_value(path, option, read, expected):
    if read is None:
        with pytest.raises(StudyError, match=expected):
            read_study(path, overrides=[option])
        return
    assert read(read_study(path, overrides=[option])) == expected
    assert path.read_text() == STUDY


def test_a_search_can_be_added_with_its_grid(path):
    study = read_study(
        path,
        overrides=["setting=[]", "search.cv=2", "search.grid.activation=['relu', 'tanh']"],
    )
    assert (study.search.cv, study.search.grid["activation"]) == (2, ("relu", "tanh"))


def test_overrides_of_python_are_values(path):
    overrides = {"estimator.max_epochs": 1, "seeds": (0, 1), "estimator.augment": None}
    study = read_study(path, overrides=overrides)
    assert study.estimator == {
        "max_epochs": 1,
        "class_weight": {"0": 2.0},
        "augment": None,
    }
    assert study.seeds == (0, 1)
    options = ["estimator.max_epochs=1", "seeds=[0, 1]", "estimator.augment=none"]
    assert read_study(path, overrides=options) == study
    # The last one of several overrides of a key applies.
    assert read_study(path, overrides=["seeds=[0]", "seeds=[3]"]).seeds == (3,)


def test_the_table_of_the_file_is_not_changed():
    table = {"setting": [{"name": "a", "estimator": {"lr": 0.1}}]}
    changed, keys = apply_overrides(table, read_overrides({"setting.a.estimator.lr": 1}))
    assert changed == {"setting": [{"name": "a", "estimator": {"lr": 1}}]}
    assert keys == [("setting", "0", "estimator", "lr")]
    assert table["setting"][0]["estimator"] == {"lr": 0.1}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("estimator.max_epochs", "must be KEY=VALUE, such as estimator.max_epochs=1"),
        ("=1", "must be KEY=VALUE"),
        ("estimator.lr=", 'there is no value. Write "" for empty text.'),
        (
            "setting.Adam, 0.001.estimator.lr=1",
            "'setting.Adam, 0.001.estimator.lr' is ",
        ),
        ("a..b=1", "'a..b' is not a key"),
        ("estimator.max_epochs=None", "TOML has no None. For None as the value of a"),
        ("estimator.early_stopping=True", "Write true."),
        ("estimator.hidden=(120, 84)", "Write a list: [120, 84]."),
        ("estimator.lr=.01", "Write 0.01."),
        ("search.grid.init=[torch, he_normal]", "A shell keeps the quotes of text in"),
        ("seeds=[0", "is not closed"),
        ("seeds=[0]\ntitle='x'", "more than one value."),
        ("estimater.lr=1", "estimater: unknown key 'estimater'. Did you mean 'estimator'?"),
        (
            "estimator.lrr=1.0",
            "LeNet5Classifier has no parameter 'lrr'. Did you mean 'lr'?",
        ),
        ("estimator.activation=rleu", "Did you mean 'relu'?"),
        ("estimator.max_epochs=0", "estimator.max_epochs: The 'max_epochs' parameter of"),
        ("seeds=[0, 0]", "seeds: 0 must not occur more than once."),
        ("setting.5.seeds=[0]", "positions in setting are from 0 to 2. Got 5."),
        ("setting.-1.seeds=[0]", "or by its name. Got '-1'."),
        ("setting.plane.seeds=[0]", "Got 'plane'. Did you mean 'plain'?"),
        ("test.0.name='x'", "the file has no [[test]]."),
        ("name.first='x'", "name is 's', not a table or a list."),
        ("estimator.lr=1979-05-27", "is a date, not text"),
    ],
)
def test_an_error_names_the_option(path, option, message):
    with pytest.raises(StudyError) as error:
        read_study(path, overrides=[option])
    (line, *_) = str(error.value).splitlines()
    assert line.startswith(f"--set {option.splitlines()[0]}")
    assert message in str(error.value)


def test_an_error_elsewhere_mentions_the_options(path):
    with pytest.raises(StudyError) as error:
        read_study(
            path, overrides=["data=['digits']", "setting.1.data=['mnist']", "seeds=[1]"]
        )
    assert "setting.1.data: must only contain datasets of the study" in str(error.value)
    with pytest.raises(StudyError) as error:
        read_study(path, overrides=["search.kind=random"])
    text = str(error.value)
    assert "search.n_iter: this key is required in a search of kind 'random'." in text
    assert "(With --set search.kind=random.)" in text


@pytest.mark.parametrize("overrides", ["seeds=[0]", {1: 2}, {"seeds": {0}}])
def test_overrides_are_a_mapping_or_a_list(path, overrides):
    with pytest.raises(StudyError, match="override"):
        read_study(path, overrides=overrides)
