import json
import re
from pathlib import Path

import pytest

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


def test_a_good_study(read):
    study = read(GOOD)
    assert study.seeds == (0, 1)
    assert study.search.grid == {"pooling": ("max", "avg")}
    assert study.estimator == {"max_epochs": 1}


def test_none_is_none_for_parameters_only(read):
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
def test_the_studies_of_this_project(path):
    assert read_study(path).name == path.stem


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds =", "sedes =", "unknown key 'sedes'. Did you mean 'seeds'?"),
        (
            "cv = 2",
            "cvv = 2",
            "unknown key 'search.cvv'. Did you mean 'cv'? Known: kind, grid, cv,",
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
        ('["max", "avg"]', '"max"', "search.grid.pooling"),
        ("cv = 2", "kind = 'gird'", "search.kind: Input should be 'grid', 'random',"),
        ("cv = 2", "kind = 'random'", "search: kind 'random' needs the key 'n_iter'"),
        ("cv = 2", "n_iter = 2", "search.n_iter: not for kind 'grid'"),
        ("cv = 2", "kind = 'settings'", "search.grid: not for kind 'settings'"),
        ("cv = 2", "kind = 'halving'", "search: kind 'halving' needs the key 'resource'"),
        (
            "cv = 2",
            "kind = 'halving'\nresource = 'max_epochs'",
            "the resource 'max_epochs' needs 'min_resources'",
        ),
        ('["max", "avg"]', "{loguniform = [1, 2]}", "a distribution is for the kinds"),
        (
            'cv = 2\n\n[search.grid]\npooling = ["max", "avg"]',
            "kind = 'random'\nn_iter = 2\ngrid = {lr = {loguniform = [0.1, 0.01]}}",
            "is not a distribution. Right would be one of uniform, loguniform, randint",
        ),
        (
            'cv = 2\n\n[search.grid]\npooling = ["max", "avg"]',
            "kind = 'random'\nn_iter = 2\ngrid = {lr = {uniform = [-1.0, 1.0]}}",
            "The 'lr' parameter of LeNet5Classifier must be a float",
        ),
        ("pooling =", "scaler__to =", "'search.grid.scaler__to'"),
        (
            "seeds =",
            'metrics = ["acuracy"]\nseeds =',
            "no scorer 'acuracy'. Did you mean 'a",
        ),
        ("seeds =", "validation = 1.0\nseeds =", "validation: Input should be less than 1"),
        (
            "seeds =",
            'steps = [{to = "unit"}]\nseeds =',
            "has no 'transformer': name one",
        ),
        (
            "seeds =",
            'steps = [{transformer = "Invertor"}]\nseeds =',
            "steps: no transformer 'Invertor'. Known: DarkBackground, Inverter",
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
        ("max_epochs = 1", "image_shape = [9, 9]", "images of digits are 1x8x8"),
        (
            "max_epochs = 1",
            "early_stopping = true\nmax_epochs = 1",
            "would report the best test epoch",
        ),
        ('["max", "avg"]', "{}", "search.grid.pooling: "),
        (
            'cv = 2\n\n[search.grid]\npooling = ["max", "avg"]',
            "kind = 'random'\nn_iter = 2\ngrid = {lr = {uniform = ['a', 1]}}",
            "is not a distribution",
        ),
        (
            "cv = 2",
            "kind='halving'\nresource='max_epochs'\nmin_resources = 5\nmax_resources = 3",
            "min_resources is 5, above max_resources, 3",
        ),
        (
            "seeds =",
            'steps = [{transformer="sklearn.decomposition.PCA", random_state=1}]\nseeds =',
            "'random_state' is decided by the key 'seeds'",
        ),
        ("[search.grid]", "[[setting]]\nname = 'a'\n[search.grid]", "exclude each other"),
        ('["max", "avg"]', "[]", "search.grid.pooling: "),
        ("pooling =", "poling =", "'search.grid.poling'"),
        ("[search.grid]", "[search", "not a TOML file"),
    ],
)
def test_a_bad_study_names_the_file_the_key_and_what_is_right(read, old, new, message):
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
def test_the_line_is_named(read, old, new, line):
    with pytest.raises(StudyError) as error:
        read(GOOD.replace(old, new))
    place = "small.toml: " if line is None else f"small.toml:{line}: "
    assert place in str(error.value)


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


def test_a_setting_may_be_like_one_above(read):
    a, b, c = read(PLAIN + LIKE).setting
    assert b.estimator == {"lr": 0.1, "pooling": "avg"} == c.estimator
    assert (b.data, b.steps, b.seeds) == (a.data, a.steps, None)
    assert (c.steps, c.seeds) == ((), (7,))


def test_of_two_settings_with_one_name_the_nearer_is_meant(read):
    text = PLAIN.replace('"digits"', '"digits", "mnist"') + LIKE
    text += '[[setting]]\nname = "a"\ndata = ["mnist"]\nestimator = { lr = 0.5 }\n'
    text += '[[setting]]\nname = "d"\nlike = "a"\n'
    *_, d = read(text).setting
    assert (d.data, d.estimator) == (("mnist",), {"lr": 0.5})


@pytest.mark.parametrize("name", ['"d"', '"b"', '["a"]', "1"])
def test_a_setting_is_like_no_other_than_one_above(read, name):
    with pytest.raises(StudyError, match=r"toml:19: setting\.1\.like .*above.* Known: a\."):
        read(PLAIN + LIKE.replace('like = "a"', f"like = {name}"))


def test_a_setting_s_name_is_of_one_data_set(read):
    two = MANY.replace('["digits"]', '["digits", "mnist"]')
    both = two.replace('"first"\n\n', '"first"\ndata = ["digits"]\n\n').replace(
        '"second"', '"first"\ndata = ["mnist"]'
    )
    names = [s.name for s in read(both).settings_for("mnist")]
    assert names[0] == "first, lr 0.1, activation relu"
    assert [s.name for s in read(both).settings_for("digits")] == ["first"]
    with pytest.raises(StudyError, match=r"setting 'first'\..*Known: first, lr"):
        read(both.replace('data = "digits"\nsource', 'data = "mnist"\nsource'))
    with pytest.raises(StudyError, match="names one of them twice: 'first'"):
        read(MANY.replace('"second"\ngrid', '"first"\n# grid'))


def test_a_study_without_settings_has_no_figures_of_one(read):
    figure = (
        "[[published]]\ndata = 'digits'\nsource = 's'\nfigures = {test_accuracy = 0.5}\n"
    )
    plain = 'name = "a"\ntitle = "t"\ndata = ["digits"]\n'
    for study in (GOOD, plain):
        assert read(study + figure).published[0].setting is None
        with pytest.raises(StudyError, match="are for the setting 'estimator'"):
            read(study + figure + "setting = 'estimator'\n")


def test_settings_and_their_grids(read):
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
    assert study.tests == ["test", "negatives"]
    assert Study.from_record(json.loads(json.dumps(study.to_record()))) == study


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('"second"', '"second"\nseeds = [1, 1]', 11, "name one of them twice"),
        ('"second"', '"second"\ndata = []', 11, "at least 1 item"),
        ("maximum = 16", 'maximum = "x"', 16, "'maximum' parameter of Inverter"),
        ("figures = {", "curves = { valid_loss = [0.1] }\nfigures = {", 22, "needs ours"),
        ("= 0.5", "= nan", 22, "no number"),
        ("pooling =", "poling =", 12, "unknown key 'setting.1.estimator.poling'"),
        ('"avg"', '"mean"', 12, "setting.1.estimator.pooling: The 'pooling' parameter"),
        ("lr = [", "pooling = [", 11, "'pooling' is both in the setting's 'estimator'"),
        ("0.01]", "-1.0]", 12, "The 'lr' parameter"),
        ('name = "second"', 'name = "second"\ndata = ["mnist"]', 11, "not in 'data'"),
        ('name = "second"', 'nam = "second"', 10, "Did you mean 'name'?"),
        ('"Inverter"', '"Invertor"', 16, "no transformer 'Invertor'"),
        ('"negatives"', '"test"', None, "test: ['test', 'test'] names one of them twice"),
        ('setting = "first"', 'setting = "one"', 21, "'one'. Known: first,"),
        ('setting = "first"', "", 18, "are for the setting None"),
        ("test_accuracy", "x_accuracy", 22, "no figure 'x_accuracy'"),
    ],
)
def test_bad_settings(read, old, new, line, message):
    assert old in MANY
    with pytest.raises(StudyError) as error:
        read(MANY.replace(old, new))
    assert message in str(error.value)
    if line:
        assert f"small.toml:{line}: " in str(error.value)


@pytest.mark.parametrize(
    ("published", "message"),
    [
        (
            'data = "mnist"\nsource = "a"\nfigures = { test_accuracy = 0.5 }',
            "'mnist', which is not in 'data'",
        ),
        (
            'data = "digits"\nsource = "a"\nfigures = { accuracy = 0.5 }',
            "no figure 'accuracy'. Did",
        ),
        (
            'data = "digits"\nsource = "a"\nfigures = { test_accuracy = 99.2 }',
            "an accuracy is between 0 and 1",
        ),
    ],
)
def test_published_figures_cannot_pass_for_ours(read, published, message):
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
def test_class_weights_by_label_come_through_unharmed(read, place):
    head = PLAIN.replace("[estimator]\nmax_epochs = 1\n", "")
    study = read(head + place.format('{ 0 = 2.0, "1" = 0.5 }'))
    study = Study.from_record(json.loads(json.dumps(study.to_record())))
    wanted = {"0": 2.0, "1": 0.5}
    given = study.estimator.get("class_weight")
    if study.search:
        (given,) = study.search.grid["class_weight"]
    elif study.setting:
        given = study.settings[0].estimator["class_weight"]
    assert given == wanted


def test_a_missing_file(tmp_path):
    with pytest.raises(StudyError, match=r"none\.toml: No such file"):
        read_study(tmp_path / "none.toml")


def test_the_studies_of_the_documentation(tmp_path):
    text = (BENCHMARKS.parent / "docs" / "studies.md").read_text()
    whole, settings = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    head = 'name = "settings"\ntitle = "t"\ndata = ["mnist", "cifar10"]\n'
    for k, part in enumerate((whole, head + settings)):
        (tmp_path / f"{k}.toml").write_text(part)
        read_study(tmp_path / f"{k}.toml")
