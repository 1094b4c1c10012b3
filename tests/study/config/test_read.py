"""Study files: what they may hold, and the messages about what they may not."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from sklenet.study import StudyError, read_study
from sklenet.study.config.spec import Study

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"

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


def test_a_valid_study_is_read(read):
    study = read(GOOD)
    assert study.seeds == (0, 1)
    assert study.search.grid == {"pooling": ("max", "avg")}
    assert study.estimator == {"max_epochs": 1}


def test_none_means_none_only_as_the_value_of_a_parameter(read):
    study = read(
        GOOD.replace('"A small study"', '"none"')
        .replace("max_epochs = 1", 'feature_range = "none"')
        .replace('pooling = ["max", "avg"]', 'augment = ["none", ["flip", { shift = 2 }]]')
        .replace(
            "seeds =", 'steps = [{ transformer = "Inverter", maximum = "none" }]\nseeds ='
        )
    )
    assert study.title == "none"
    assert study.estimator == {"feature_range": None}
    assert study.search.grid == {"augment": (None, ["flip", {"shift": 2}])}
    assert study.steps == ({"transformer": "Inverter", "maximum": None},)


@pytest.mark.parametrize(
    "path", sorted((BENCHMARKS / "studies").glob("*.toml")), ids=lambda p: p.stem
)
def test_the_studies_of_the_benchmarks_are_valid(path):
    assert read_study(path).name == path.stem


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "seeds =",
            "sedes =",
            "unknown key 'sedes'. Did you mean 'seeds'? Known: name, title,",
        ),
        (
            "cv = 2",
            "cvv = 2",
            "search.cvv: unknown key 'cvv' in a search of kind 'grid'. Did you mean 'cv'?"
            " Known: kind, grid, cv.",
        ),
        ('name = "small"', "", "name: this key is required."),
        ('name = "small"', 'name = "../x"', "name: "),
        ("seeds = [0, 1]", 'seeds = "0"', "seeds: Input should be a valid list. Got '0'."),
        ("seeds = [0, 1]", 'seeds = ["0"]', "seeds.0: Input should be a valid integer"),
        ("seeds = [0, 1]", "seeds = [-1]", "seeds.0: "),
        ("seeds = [0, 1]", "seeds = []", "seeds: must not be empty. Got []."),
        (
            "cv = 2",
            "cv = 1",
            "search.cv: Input should be greater than or equal to 2. Got 1.",
        ),
        ('["digits"]', '["digit"]', "data.0: Input should be 'digits', 'mnist'"),
        (
            "max_epochs",
            "max_epoch",
            "estimator.max_epoch: LeNet5Classifier has no parameter",
        ),
        ("max_epochs", "max_epoch", "Did you mean 'max_epochs'?"),
        (
            "max_epochs = 1",
            "max_epochs = 0",
            "estimator.max_epochs: The 'max_epochs' param",
        ),
        ("max_epochs = 1", "random_state = 1", "set by the key 'seeds'"),
        ("max_epochs = 1", "verbose = 1", "set by the command"),
        ("max_epochs = 1", "net_params = {nonsense = 1}", "nonsense"),
        ("max_epochs = 1", "net_params = {optimizer__betaz = 1}", "betaz"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "seeds: 0 must not occur more than once."),
        ('["digits"]', '["digits", "digits"]', "data: "),
        ("max_epochs = 1", 'pooling = "max"', "'pooling' is both in 'estimator' and in"),
        ('"avg"', '"mean"', "search.grid.pooling: The 'pooling' parameter of LeNet5Class"),
        ('["max", "avg"]', '"max"', "search.grid.pooling"),
        (
            "cv = 2",
            "kind = 'gird'",
            "search.kind: unknown kind 'gird'. Did you mean 'grid'",
        ),
        (
            "cv = 2",
            "kind = 'random'",
            "search.n_iter: this key is required in a search of kind 'random'",
        ),
        (
            "cv = 2",
            "n_iter = 2",
            "search.n_iter: unknown key 'n_iter' in a search of kind 'grid'",
        ),
        (
            "cv = 2",
            "kind = 'settings'",
            "search.grid: unknown key 'grid' in a search of kind 'settings'",
        ),
        (
            "cv = 2",
            "kind = 'halving'",
            "search.resource: this key is required in a search of kind 'halving'",
        ),
        (
            "cv = 2",
            "kind = 'halving'\nresource = 'max_epochs'",
            "search.min_resources: this key is required for the resource 'max_epochs'",
        ),
        (
            '["max", "avg"]',
            "{loguniform = [1, 2]}",
            "a distribution requires a search of kind 'random' or",
        ),
        (
            'cv = 2\n\n[search.grid]\npooling = ["max", "avg"]',
            "kind = 'random'\nn_iter = 2\ngrid = {lr = {loguniform = [0.1, 0.01]}}",
            "{loguniform = [low, high]} with low above 0, or {randint = [low,",
        ),
        (
            'cv = 2\n\n[search.grid]\npooling = ["max", "avg"]',
            "kind = 'random'\nn_iter = 2\ngrid = {lr = {uniform = [-1.0, 1.0]}}",
            "The 'lr' parameter of LeNet5Classifier must be a float",
        ),
        (
            "pooling =",
            "scaler__to =",
            "search.grid.scaler__to: the study has no step 'scaler'",
        ),
        (
            "seeds =",
            'metrics = ["acuracy"]\nseeds =',
            "no scorer 'acuracy'. Did you mean 'a",
        ),
        ("seeds =", "validation = 1.0\nseeds =", "validation: Input should be less than 1"),
        (
            "seeds =",
            'steps = [{to = "unit"}]\nseeds =',
            "has no 'transformer'. It must be one of DarkBackground",
        ),
        (
            "seeds =",
            'steps = [{transformer = "Invertor"}]\nseeds =',
            "steps: no transformer 'Invertor'. Known: DarkBackground, Disturber, Inverter",
        ),
        (
            "seeds =",
            'steps = [{transformer = "Inverter", max = 1}]\nseeds =',
            "Inverter has no parameter 'max'. Known: maximum",
        ),
        (
            "seeds =",
            'steps = [{transformer = "PixelScaler", to = "units"}]\nseeds =',
            "steps: The 'to' parameter of PixelScaler must be",
        ),
        (
            "max_epochs = 1",
            "kernel_size = 20",
            "'kernel_size' parameter is 20: two convolutions and two poolings",
        ),
        (
            "max_epochs = 1",
            "image_shape = [9, 9]",
            "shape of the images of digits, which are 1x8x8",
        ),
        (
            "max_epochs = 1",
            "early_stopping = true\nmax_epochs = 1",
            "would report the best test epoch",
        ),
        ('["max", "avg"]', "{}", "search.grid.pooling: "),
        (
            'cv = 2\n\n[search.grid]\npooling = ["max", "avg"]',
            "kind = 'random'\nn_iter = 2\ngrid = {lr = {uniform = ['a', 1]}}",
            "or a distribution: {uniform = [low, high]}",
        ),
        (
            "cv = 2",
            "kind='halving'\nresource='max_epochs'\nmin_resources = 5\nmax_resources = 3",
            "search.min_resources: must not be above max_resources, 3. Got 5.",
        ),
        (
            "seeds =",
            'steps = [{transformer="sklearn.decomposition.PCA", random_state=1}]\nseeds =',
            "'random_state' is set by the key 'seeds'",
        ),
        ("[search.grid]", "[[setting]]\nname = 'a'\n[search.grid]", "exclude each other"),
        ('["max", "avg"]', "[]", "search.grid.pooling: must not be empty"),
        (
            "pooling =",
            "poling =",
            "search.grid.poling: LeNet5Classifier has no parameter 'poling'",
        ),
        ("[search.grid]", "[search", "not a TOML file"),
    ],
)
def test_an_error_names_the_file_the_key_and_what_is_allowed(read, old, new, message):
    assert old in GOOD
    text = GOOD.replace(old, new)
    if "early_stopping" in new:
        text = text.replace("seeds =", 'validation = "test"\nseeds =')
    with pytest.raises(StudyError) as error:
        read(text)
    assert "small.toml:" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seeds =", "sedes =", 5),
        ("max_epochs = 1", "max_epochs = 0", 8),
        ("max_epochs = 1", "max_epoch = 0", 8),
        ("cv = 2", "cv = 1", 11),
        ("cv = 2", "cvv = 2", 11),
        ('"avg"', '"mean"', 14),
        ("pooling =", "poling =", 14),
        ('title = "A small study"', "", None),
        ('pooling = ["max", "avg"]', "[[test]]\nname = 'a'\nsteps = []", 16),
    ],
)
def test_an_error_names_the_line(read, old, new, line):
    with pytest.raises(StudyError) as error:
        read(GOOD.replace(old, new))
    place = "small.toml: " if line is None else f"small.toml:{line}: "
    assert place in str(error.value)


def test_all_invalid_keys_are_reported_with_their_lines(read):
    text = GOOD.replace("seeds = [0, 1]", "seeds = [0, -1]").replace("cv = 2", "cv = 1")
    with pytest.raises(StudyError) as error:
        read(text.replace("max_epochs = 1", "max_epoch = 1"))
    places = [line.partition("small.toml:")[2] for line in str(error.value).splitlines()]
    assert [place.split(": ")[:2] for place in places] == [
        ["5", "seeds.1"],
        ["8", "estimator.max_epoch"],
        ["11", "search.cv"],
    ]


def test_a_study_is_checked_when_it_is_made_in_python():
    record = {"name": "a", "title": "t", "data": ["digits"], "estimator": {"lr": -1.0}}
    with pytest.raises(ValidationError, match="'lr' parameter of LeNet5Classifier must be"):
        Study.from_record(record)
    study = Study.from_record(record | {"estimator": {"lr": 1.0}})
    with pytest.raises(ValidationError, match="frozen"):
        study.title = "other"


MANY = """
name = "many"
title = "t"
data = ["digits"]

[[setting]]
name = "first"

[[setting]]
name = "second"
grid = { lr = [0.1, 0.01], activation = ["relu", "tanh"] }
estimator = { pooling = "avg" }

[[test]]
name = "negatives"
steps = [{ transformer = "Inverter", maximum = 16 }]

[[published]]
data = "digits"
source = "somebody"
setting = "first"
figures = { test_accuracy = 0.5 }
"""


LIKE = """
[[setting]]
name = "a"
data = ["digits"]
estimator = { lr = 0.01, pooling = "avg" }
steps = [{ transformer = "Inverter" }]

[[setting]]
name = "b"
like = "a"
estimator = { lr = 0.1 }

[[setting]]
name = "c"
like = "b"
steps = []
seeds = [7]
"""
PLAIN = GOOD[: GOOD.index("[search]")]


def test_a_setting_inherits_from_the_one_it_is_like(read):
    a, b, c = read(PLAIN + LIKE).setting_tables
    assert b.estimator == {"lr": 0.1, "pooling": "avg"} == c.estimator
    assert (b.data, b.steps, b.seeds) == (a.data, a.steps, None)
    assert (c.steps, c.seeds) == ((), (7,))


TWO = """
[[setting]]
name = "long"
data = ["digits"]
estimator = { augment = "lecun1998" }

[[setting]]
name = "long"
data = ["mnist", "cifar10"]
estimator = { augment = "flip" }

[[setting]]
name = "longer"
like = "long"
"""
THREE_DATASETS = PLAIN.replace('"digits"', '"digits", "mnist", "cifar10"')


@pytest.mark.parametrize(
    ("data", "augment"),
    [
        (["digits"], "lecun1998"),
        (["mnist"], "flip"),
        (["cifar10", "mnist"], "flip"),
    ],
)
def test_of_settings_with_the_same_name_like_means_that_of_the_dataset(read, data, augment):
    *_, longer = read(f"{THREE_DATASETS}{TWO}data = {data}\n").setting_tables
    assert (longer.data, longer.estimator) == (tuple(data), {"augment": augment})


@pytest.mark.parametrize("data", ["", 'data = ["digits", "mnist"]', "data = []"])
def test_like_a_name_of_several_settings_needs_the_dataset_of_one(read, data):
    message = (
        r"setting\.2\.like: 'long' is the name of several settings above, on digits,"
        r" mnist, cifar10\. The 'data' of this setting must be datasets of one of them\."
    )
    with pytest.raises(StudyError, match=message):
        read(f"{THREE_DATASETS}{TWO}{data}\n")


def test_a_setting_can_be_like_one_of_another_dataset_if_the_name_is_unique(read):
    text = THREE_DATASETS + LIKE + 'data = ["mnist"]\n'
    assert read(text).setting_tables[2].estimator == {"lr": 0.1, "pooling": "avg"}


@pytest.mark.parametrize("name", ['"d"', '"b"', '["a"]', "1"])
def test_a_setting_can_only_be_like_one_above(read, name):
    with pytest.raises(
        StudyError, match=r"toml:19: setting\.1\.like: .*above.* Known: a\."
    ):
        read(PLAIN + LIKE.replace('like = "a"', f"like = {name}"))


def test_settings_of_different_datasets_may_have_the_same_name(read):
    two = MANY.replace('["digits"]', '["digits", "mnist"]')
    both = two.replace('"first"\n\n', '"first"\ndata = ["digits"]\n\n').replace(
        '"second"', '"first"\ndata = ["mnist"]'
    )
    names = [s.name for s in read(both).list_settings("mnist")]
    assert names[0] == "first, lr 0.1, activation relu"
    assert [s.name for s in read(both).list_settings("digits")] == ["first"]
    with pytest.raises(StudyError, match=r"for 'mnist'\. Got 'first'\..*Known: first, lr"):
        read(both.replace('data = "digits"\nsource', 'data = "mnist"\nsource'))
    with pytest.raises(StudyError, match=r"must be unique\. Got 'first' 2 times"):
        read(MANY.replace('"second"\ngrid', '"first"\n# grid'))


def test_published_results_have_no_setting_in_a_study_without_settings(read):
    figure = (
        "[[published]]\ndata = 'digits'\nsource = 's'\nfigures = {test_accuracy = 0.5}\n"
    )
    plain = 'name = "a"\ntitle = "t"\ndata = ["digits"]\n'
    for study in (GOOD, plain):
        assert read(study + figure).published[0].setting is None
        with pytest.raises(
            StudyError, match=r"published\.0\.setting: must be .* Got 'estimator'"
        ):
            read(study + figure + "setting = 'estimator'\n")


def test_every_combination_of_a_grid_is_a_setting(read):
    study = read(MANY)
    assert [setting.name for setting in study.settings] == [
        "first",
        "second, lr 0.1, activation relu",
        "second, lr 0.1, activation tanh",
        "second, lr 0.01, activation relu",
        "second, lr 0.01, activation tanh",
    ]
    last = {"pooling": "avg", "lr": 0.01, "activation": "tanh"}
    assert study.settings[-1].estimator == last
    assert study.test_names == ["test", "negatives"]
    assert Study.from_record(json.loads(json.dumps(study.to_record()))) == study


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            '"second"',
            '"second"\nseeds = [1, 1]',
            11,
            "seeds: 1 must not occur more than once",
        ),
        ('"second"', '"second"\ndata = []', 11, "data: must not be empty"),
        ("maximum = 16", 'maximum = "x"', 16, "'maximum' parameter of Inverter"),
        (
            "figures = {",
            "curves = { valid_loss = [0.1] }\nfigures = {",
            22,
            "has no curve 'valid_loss' to",
        ),
        ("= 0.5", "= nan", 22, "must be a finite number. Got nan"),
        (
            "pooling =",
            "poling =",
            12,
            "setting.1.estimator.poling: LeNet5Classifier has no",
        ),
        ('"avg"', '"mean"', 12, "setting.1.estimator.pooling: The 'pooling' parameter"),
        ("lr = [", "pooling = [", 11, "'pooling' is both in the 'estimator' and in"),
        ("0.01]", "-1.0]", 11, "setting.1.grid.lr: The 'lr' parameter"),
        (
            'name = "second"',
            'name = "second"\ndata = ["mnist"]',
            11,
            "datasets of the study: digits. Got 'mnist'",
        ),
        ('name = "second"', 'nam = "second"', 10, "Did you mean 'name'?"),
        ('"Inverter"', '"Invertor"', 16, "no transformer 'Invertor'"),
        ('"negatives"', '"test"', 15, "test.0.name: must be unique, and not 'test'"),
        ('setting = "first"', 'setting = "one"', 21, "Got 'one'. Known: first,"),
        (
            'setting = "first"',
            "",
            18,
            "must be the name of a setting for 'digits'. Got None",
        ),
        ("test_accuracy", "x_accuracy", 22, "no metric 'x_accuracy'"),
    ],
)
def test_an_error_in_a_setting_names_its_key_and_line(read, old, new, line, message):
    assert old in MANY
    with pytest.raises(StudyError) as error:
        read(MANY.replace(old, new))
    assert message in str(error.value)
    assert f"small.toml:{line}: " in str(error.value)


@pytest.mark.parametrize(
    ("published", "message"),
    [
        (
            'data = "mnist"\nsource = "a"\nfigures = { test_accuracy = 0.5 }',
            "published.0.data: must be one of the datasets of the study: digits. Got",
        ),
        (
            'data = "digits"\nsource = "a"\nfigures = { accuracy = 0.5 }',
            "no metric 'accuracy'. Did",
        ),
        (
            'data = "digits"\nsource = "a"\nfigures = { test_accuracy = 99.2 }',
            "an accuracy must be between 0 and 1. Got 99.2",
        ),
    ],
)
def test_published_results_must_be_of_a_metric_and_dataset_of_the_study(
    read, published, message
):
    with pytest.raises(StudyError) as error:
        read(f"{GOOD}\n[[published]]\n{published}\n")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "place",
    [
        "[estimator]\nclass_weight = {}\n",
        "[estimator]\n[[setting]]\nname = 'a'\nestimator = {{ class_weight = {} }}\n",
        "[estimator]\n[[setting]]\nname = 'a'\ngrid = {{ class_weight = [{}] }}\n",
        "[estimator]\n[search]\ncv = 2\ngrid = {{ class_weight = [{}] }}\n",
    ],
)
def test_class_weights_by_label_are_not_changed(read, place):
    head = PLAIN.replace("[estimator]\nmax_epochs = 1\n", "")
    study = read(head + place.format('{ 0 = 2.0, "1" = 0.5 }'))
    study = Study.from_record(json.loads(json.dumps(study.to_record())))
    wanted = {"0": 2.0, "1": 0.5}
    given = study.estimator.get("class_weight")
    if study.search:
        (given,) = study.search.grid["class_weight"]
    elif study.setting_tables:
        given = study.settings[0].estimator["class_weight"]
    assert given == wanted


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(StudyError, match=r"none\.toml: No such file"):
        read_study(tmp_path / "none.toml")


def test_the_studies_of_the_documentation_are_valid(tmp_path):
    text = (BENCHMARKS.parent / "docs" / "studies.md").read_text()
    whole, *parts = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(parts) == 3
    head = 'name = "settings"\ntitle = "t"\ndata = ["mnist", "cifar10"]\n'
    for k, part in enumerate((whole, *(head + part for part in parts))):
        (tmp_path / f"{k}.toml").write_text(part)
        read_study(tmp_path / f"{k}.toml")
