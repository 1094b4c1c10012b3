import errno
import gc
import multiprocessing
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.network.kernels import compiler

numba = pytest.importorskip("numba")
if numba.config.DISABLE_JIT or os.environ.get("SKLENET_COMPILED") == "0":
    pytest.skip("compiling is turned off", allow_module_level=True)

TINY = """
from sklenet.network.kernels.compiler import EXACT, kernel

@kernel("f4(f4)", EXACT)
def double(x):
    return x + x

@kernel("f4(f4)", EXACT)
def quadruple(x):
    return double(double(x))

ALWAYS = (quadruple,)
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load two tiny kernels as a new process would, with the cache in tmp_path."""
    (tmp_path / "tiny_kernels.py").write_text(TINY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "_LAYERS", "tiny_kernels")
    monkeypatch.setattr(compiler, "_layers", None)
    monkeypatch.setattr(compiler, "_has_failed", False)
    monkeypatch.setattr(compiler, "_folder", None)
    monkeypatch.setattr(compiler, "_is_announced", False)

    def load():
        sys.modules.pop("tiny_kernels", None)
        compiler._layers, compiler._has_failed = None, False
        compiler._is_announced = False
        return compiler.load_layers()

    yield load
    sys.modules.pop("tiny_kernels", None)


def n_hits(layers):
    """Return how many of the two kernels were in the cache, as Python calls them."""
    return sum(f.stats.cache_hits.total() for f in (layers.quadruple, layers.double))


def is_right(layers):
    return layers.quadruple(np.float32(3)) == 12


def test_what_is_compiled_is_kept_and_announced_once(load, capfd, tmp_path):
    first = load()
    assert n_hits(first) == 0
    out, err = capfd.readouterr()
    assert err.count("\n") == 1
    assert "compiling the training kernels" in err
    assert str(tmp_path / "cache") in err
    assert out == ""
    second = load()
    assert n_hits(second) == 2
    assert capfd.readouterr() == ("", "")
    assert is_right(first)
    assert is_right(second)


def test_numbas_own_cache_folder_stays_the_users(load):
    before = numba.config.CACHE_DIR
    load()
    assert before == numba.config.CACHE_DIR


def test_garbage_collections_go_on_after_loading(load):
    layers = load(), load()
    assert all(is_right(each) for each in layers)
    assert gc.isenabled()


def test_a_cached_kernel_is_loaded_without_preparing_numba(load, monkeypatch):
    n_hits(load())
    monkeypatch.setattr("numba.core.cpu.CPUContext.refresh", None)
    layers = load()
    assert is_right(layers)
    assert n_hits(layers) == 2


def test_numba_loads_what_cannot_be_loaded_faster(load, monkeypatch):
    n_hits(load())
    monkeypatch.setattr(compiler, "load_cached", lambda *_: False)
    layers = load()
    assert is_right(layers)
    assert n_hits(layers) == 2


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip, lambda content: b""])
@pytest.mark.parametrize("suffix", [".nbc", ".nbi", ".txt"])
def test_a_damaged_cache_is_made_anew(load, capfd, tmp_path, damage, suffix):
    n_hits(load())
    capfd.readouterr()
    for path in (tmp_path / "cache").rglob(f"*{suffix}"):
        path.write_bytes(damage(path.read_bytes()))
    damaged = load()
    assert n_hits(damaged) == 0
    assert is_right(damaged)
    assert "compiling" in capfd.readouterr().err
    assert n_hits(load()) == 2


def test_a_file_that_is_missing_is_made_anew(load, tmp_path):
    n_hits(load())
    next((tmp_path / "cache").rglob("tiny_kernels.quadruple/**/*.nbc")).unlink()
    repaired = load()
    assert n_hits(repaired) == 1
    assert is_right(repaired)
    assert n_hits(load()) == 2


@pytest.mark.parametrize("name", ["double", "double.inner", "quadruple"])
def test_a_kernel_that_is_missing_is_compiled_beside_the_others(load, tmp_path, name):
    first = load()
    n_hits(first)
    (folder,) = (tmp_path / "cache").rglob(f"tiny_kernels.{name}")
    shutil.rmtree(folder)
    second = load()
    assert n_hits(second) == (2 if name == "double.inner" else 1)
    assert is_right(second)


def test_another_version_has_a_folder_of_its_own(load, monkeypatch):
    load()
    monkeypatch.setattr(numba, "__version__", "0.1")
    assert n_hits(load()) == 0


def test_a_folder_that_cannot_be_made_costs_time_only(load, capfd, monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file")
    layers = load()
    assert is_right(layers)
    assert "cannot be kept" in capfd.readouterr().err


def test_a_full_disk_costs_time_only(load, capfd, monkeypatch, tmp_path):
    def save(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", save)
    assert is_right(load())
    assert "No space left" in capfd.readouterr().err
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".lock"}


def test_what_does_not_compile_is_left_to_torch(load, tmp_path):
    (tmp_path / "tiny_kernels.py").write_text(TINY.replace("x + x", "x + missing"))
    with pytest.warns(RuntimeWarning, match="cannot be compiled here"):
        assert load() is None
    assert compiler.load_layers() is None  # without another warning


def _load_and_count(load, queue):
    layers = load()
    queue.put((is_right(layers), layers.quadruple.stats.cache_hits.total()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forked processes")
def test_of_several_processes_one_compiles(load):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    processes = [
        context.Process(target=_load_and_count, args=(load, queue)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    results = [queue.get() for _ in processes]
    for process in processes:
        process.join()
    assert all(right for right, _ in results)
    assert sorted(hits for _, hits in results) == [0, 1, 1, 1]


def test_kernels_are_compiled_when_they_are_needed(load):
    layers = load()
    assert layers.quadruple.is_loaded
    assert not layers.double.is_loaded  # as a function that Python can call
    assert layers.double(np.float32(3)) == 6
    assert layers.double.is_loaded


def test_older_versions_of_numba_lack_options(load, monkeypatch):
    monkeypatch.setattr("numba.core.cpu.CPUTargetOptions", object)
    assert compiler._known_options({"no_cfunc_wrapper": True}) == {}
    monkeypatch.undo()
    assert compiler._known_options({"no_cfunc_wrapper": True, "missing": True}) == {
        "no_cfunc_wrapper": True
    }


def test_kernels_that_fail_later_leave_the_rest_to_torch(load, tmp_path):
    (tmp_path / "tiny_kernels.py").write_text(
        TINY + '\n@kernel("f4(f4)", EXACT)\ndef wrong(x):\n    return x + missing\n'
    )
    layers = load()
    assert compiler.prepare(layers.double)
    with pytest.warns(RuntimeWarning, match="cannot be compiled here"):
        assert not compiler.prepare(layers.double, layers.wrong)
    assert not compiler.prepare(layers.double)  # without another warning
    assert compiler.load_layers() is None


@pytest.mark.parametrize("enabled", [True, False])
def test_pythons_collector_is_as_before(load, enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        load()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


# What is compiled for a fit, and for the predictions after it: every kernel takes a tenth
# of a second to a second, for which the first fit on a machine waits.
EVERY_FIT = {
    "convolution.correlate_weights",
    "convolution.correlate_back",
    "dense.add_bias",
    "dense.add_up_rows",
    "dense.multiply",
    "images.gather_images",
    "losses.compute_losses",
}
PIECEWISE = {"activation.activate_piecewise", "activation.multiply_by_slope_piecewise"}
INCREASING = {"activation.activate_increasing", "activation.multiply_by_slope_increasing"}
MAXIMUM = {
    "pooling.convolve_and_take_largest",
    "pooling.correlate_weights_largest",
    "pooling.unpool_largest",
}
SUMS = {
    "pooling.convolve_and_add_squares",
    "pooling.correlate_weights_squares",
    "pooling.unpool_squares",
}
RADIAL = {"dense.measure_distances", "dense.pull_distances_back"}
AUGMENTATION = {
    "augmentation.augment_images",
    "images.place_images",
    "images.transpose",
}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("", EVERY_FIT | PIECEWISE | MAXIMUM | {"optimizers.step_adam"}),
        (
            "activation='tanh', optimizer='rmsprop', augment={'flip': 0.5}",
            EVERY_FIT | INCREASING | MAXIMUM | AUGMENTATION | {"optimizers.step_rmsprop"},
        ),
        (
            "**presets.lecun1998()",
            EVERY_FIT | INCREASING | SUMS | RADIAL | {"optimizers.step_sdlm"},
        ),
    ],
)
def test_a_fit_compiles_what_it_needs_before_its_first_step(parameters, expected):
    code = f"""
import sys
from sklenet import LeNet5Classifier, presets
from sklenet.datasets import load_digits
from sklenet.network.kernels import compiler

def call(kernel, *args):
    assert kernel.is_loaded, kernel.__name__
    return kernel.load()(*args)

compiler.Kernel.__call__ = call  # only those that were prepared
X, y = load_digits(return_X_y=True)
model = LeNet5Classifier(**dict({parameters})).set_params(max_epochs=1, verbose=0)
model.fit(X[:100], y[:100]).predict(X[:10])
for module in list(sys.modules.values()):
    if module.__name__.startswith("sklenet.network.kernels."):
        for name, kernel in vars(module).items():
            if isinstance(kernel, compiler.Kernel) and kernel.is_loaded:
                if kernel.__module__ == module.__name__:
                    print(module.__name__.rpartition(".")[2] + "." + name)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == expected


def test_kernels_can_be_turned_off(load, monkeypatch):
    assert load() is not None
    monkeypatch.setenv("SKLENET_COMPILED", "0")
    assert load() is None
    monkeypatch.setenv("SKLENET_COMPILED", "1")
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert load() is None


def test_numba_may_be_missing(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert load() is None


def test_importing_does_not_import_numba():
    code = "import sys, sklenet; print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]


def test_fits_without_kernels_are_the_same_but_for_rounding(monkeypatch):
    X, y = load_digits(return_X_y=True)
    X, y = X[:100], y[:100]

    def fit():
        return LeNet5Classifier(max_epochs=2, random_state=0).fit(X, y).predict_proba(X)

    compiled = fit()
    monkeypatch.setenv("SKLENET_COMPILED", "0")
    np.testing.assert_allclose(fit(), compiled, atol=1e-4)
