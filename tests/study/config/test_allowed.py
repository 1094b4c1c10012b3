"""The names that a study file may use; nothing else is imported or called."""

import builtins
import inspect
import re
import sys
from pathlib import Path

import joblib
import pytest
from sklearn.base import BaseEstimator

from sklenet import preprocessing
from sklenet.cli import main
from sklenet.study import StudyError, read_study
from sklenet.study.config.allowed import NET_PARAMS, TRANSFORMERS, find_transformer

DOCS = Path(__file__).parents[3] / "docs" / "studies.md"
HEAD = 'name = "s"\ntitle = "t"\ndata = ["digits"]\n'
QUICK = "[estimator]\nmax_epochs = 1\nbatch_size = 256\n"


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "s.toml"
        path.write_text(HEAD + text)
        return read_study(path)

    return read


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_list_has_transformers_and_parameters_without_code(name):
    found = find_transformer(name)
    assert issubclass(found, BaseEstimator)
    assert hasattr(found, "transform")
    known = inspect.signature(found).parameters
    assert set(TRANSFORMERS[name]) <= set(known)
    for parameter in TRANSFORMERS[name]:
        default = known[parameter].default
        assert default is None or isinstance(default, str | int | float | bool | tuple)
        assert not re.search("memory|func|callback|path|file|cache|verbose|jobs", parameter)


def test_the_list_has_all_transformers_of_this_package():
    ours = {name: set(names) for name, names in TRANSFORMERS.items() if "." not in name}
    assert ours == {
        name: set(inspect.signature(getattr(preprocessing, name)).parameters)
        - {"random_state"}  # which the seeds of the study set
        for name in preprocessing.__all__
    }


def test_the_documentation_has_the_same_list():
    _, _, text = DOCS.read_text().partition("## What a study file may name\n")
    text, _, _ = text.partition("\n## ")
    rows = re.findall(r"^\| `([\w.]+)` \| (.*) \|$", text, re.MULTILINE)
    listed = {name: tuple(re.findall(r"`(\w+)`", names)) for name, names in rows}
    net_params = listed.pop("net_params")
    assert listed == TRANSFORMERS
    assert net_params == NET_PARAMS


STEP = 'transformer = "sklearn.cluster.FeatureAgglomeration", n_clusters = 36'
EVERYWHERE = {
    "steps": "steps = [{{ {step} }}]\n" + QUICK,
    "a setting": QUICK + '[[setting]]\nname = "a"\nsteps = [{{ {step} }}]\n',
    "like": QUICK
    + '[[setting]]\nname = "a"\nsteps = [{{ {step} }}]\n'
    + '[[setting]]\nname = "b"\nlike = "a"\n',
    "a test": QUICK + '[[test]]\nname = "a"\nsteps = [{{ {step} }}]\n',
}


class Unpickled:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (builtins.open, (str(self.path), "w"))


@pytest.mark.parametrize("where", EVERYWHERE)
@pytest.mark.parametrize("dry", [True, False])
def test_a_folder_of_pickles_is_never_opened(where, dry, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trap = tmp_path / "cache" / "joblib" / "sklearn" / "cluster" / "_agglomerative"
    trap.mkdir(parents=True)
    joblib.dump(Unpickled(tmp_path / "owned"), trap / "output.pkl")
    step = STEP + ', memory = "cache"'
    (tmp_path / "s.toml").write_text(HEAD + EVERYWHERE[where].format(step=step))
    command = ["study", "s.toml", "--out", "out", *(["--dry-run"] if dry else [])]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert re.search(r"s\.toml:\d+: .*'memory', which a study file cannot set", error)
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["kind = 'grid'", "kind = 'optuna'\nn_iter = 2"])
@pytest.mark.parametrize(
    "parameter", ["memory", "pooling_func", "connectivity", "memory__location", "x"]
)
def test_a_grid_cannot_have_parameters_that_are_not_listed(read, kind, parameter):
    text = f"steps = [{{ {STEP} }}]\n{QUICK}[search]\n{kind}\n[search.grid]\n"
    with pytest.raises(StudyError, match=rf"s\.toml:\d+: .*has no parameter '{parameter}'"):
        read(text + f'featureagglomeration__{parameter} = ["a", "b"]\n')
    assert read(text + "featureagglomeration__n_clusters = [25, 36]\n").search


@pytest.mark.parametrize("where", EVERYWHERE)
@pytest.mark.parametrize(
    "name",
    [
        "sklearn.tests.test_common.Trap",
        "sklearn.preprocessing.FunctionTransformer",
        "sklearn.pipeline.Pipeline",
        "sklearn.compose.ColumnTransformer",
        "sklearn.decomposition._pca.PCA",
        "PCA",
        "os.system",
        "sklearn_trap.Trap",
        "",
    ],
)
def test_only_listed_names_are_imported(read, where, name):
    before = set(sys.modules)
    with pytest.raises(StudyError, match=r"no transformer .* Known: DarkBackground, "):
        read(EVERYWHERE[where].format(step=f'transformer = "{name}"'))
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ('transformer = ["PixelScaler"]', "no transformer ['PixelScaler']"),
        ('transformer = "PixelScaler", to = { a = 1 }', "must be text, a number"),
        ('transformer = "PixelScaler", to = [["a"]]', "must be text, a number"),
        ('transformer = "Inverter", maximum = nan', "not a finite number"),
        ('transformer = "Inverter", maximum = 1979-05-27', "is a date"),
        ('transformer = "Resizer", size = 1000000', "must be at most 128"),
        ('transformer = "Padder", size = [32, 1000000]', "must be at most 128"),
        (
            'transformer = "sklearn.random_projection.GaussianRandomProjection",'
            " n_components = 1000000000",
            "must be at most 10,000",
        ),
        ('transformer = "sklearn.decomposition.PCA", n_components = "x"', "PCA must be"),
    ],
)
def test_parameters_of_steps_are_plain_and_bounded(read, step, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        read(f"steps = [{{ {step} }}]\n{QUICK}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('net_params = { callbacks = ["x"] }', "'callbacks', which a study file cannot"),
        ("net_params = { compile = true }", "'compile', which a study file cannot set"),
        ('net_params = { dataset = "os.system" }', "'dataset', which a study file"),
        ("net_params = { torch_load_kwargs = { weights_only = false } }", "torch_load"),
        ('net_params = "x"', "'net_params' must be a table"),
        ("net_params = { optimizer__betas = [0.9] }", "'net_params' parameter has options"),
        ("net_params = { optimizer__eps = nan }", "optimizer__eps"),
        ('activation = "torch.nn.ReLU"', "The 'activation' parameter"),
        ('optimizer = "torch.optim.SGD"', "The 'optimizer' parameter"),
        ('loss = "os.system"', "The 'loss' parameter"),
        ('device = "xla"', "the parameter 'device' must be 'auto', 'cpu'"),
        ('device = ["cpu"]', "the parameter 'device' must be 'auto', 'cpu'"),
        ("hidden = [1000000000000000]", "The 'hidden' parameter of LeNet5Classifier"),
        ("hidden = [20000, 20000]", "more than the limit of 100,000,000"),
        ("maps = [1000000000, 16]", "The 'maps' parameter"),
        ("padding = 1000000000", "The 'padding' parameter"),
        ("lr = " + "9" * 400, "does not fit 64 bits"),
        ("tol = inf", "not a finite number"),
        ("augment = [1979-05-27]", "is a date"),
    ],
)
@pytest.mark.parametrize("where", ["estimator", "setting", "setting.grid", "search.grid"])
def test_parameters_of_the_estimator_cannot_name_code(read, line, message, where):
    name, _, value = line.partition(" = ")
    if where == "estimator":
        text = f"[estimator]\n{line}\n"
    elif where == "setting":
        text = f'[[setting]]\nname = "a"\nestimator = {{ {line} }}\n'
    elif where == "setting.grid":
        text = f'[[setting]]\nname = "a"\ngrid = {{ {name} = [{value}] }}\n'
    else:
        text = f"[search]\ncv = 2\ngrid = {{ {name} = [{value}] }}\n"
    with pytest.raises(StudyError, match=re.escape(message)):
        read(text)


def test_the_estimator_takes_plain_values(read):
    text = "[estimator]\nnet_params = { optimizer__betas = [0.9, 0.99] }\ndevice = 'cpu'\n"
    assert read(text).estimator["net_params"] == {"optimizer__betas": [0.9, 0.99]}
