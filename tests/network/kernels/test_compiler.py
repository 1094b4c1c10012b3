import errno
import gc
import multiprocessing
import os
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

    def load():
        sys.modules.pop("tiny_kernels", None)
        compiler._layers, compiler._has_failed = None, False
        return compiler.load_layers()

    yield load
    sys.modules.pop("tiny_kernels", None)


def n_hits(layers):
    return sum(f.stats.cache_hits.total() for f in (layers.double, layers.quadruple))


def is_right(layers):
    return layers.quadruple(np.float32(3)) == 12


def test_what_is_compiled_is_kept_and_announced_once(load, capfd, tmp_path):
    first = load()
    out, err = capfd.readouterr()
    assert "compiling the training kernels" in err
    assert str(tmp_path / "cache") in err
    assert out == ""
    second = load()
    assert capfd.readouterr() == ("", "")
    assert (n_hits(first), n_hits(second)) == (0, 2)
    assert is_right(first)
    assert is_right(second)


def test_numbas_own_cache_folder_stays_the_users(load):
    before = numba.config.CACHE_DIR
    load()
    assert before == numba.config.CACHE_DIR


@pytest.mark.parametrize("is_enabled", [True, False])
def test_garbage_is_not_collected_while_kernels_are_loaded(load, is_enabled):
    load()
    collections = []

    def note(phase, info):
        collections.append(phase)

    before, thresholds = gc.isenabled(), gc.get_threshold()
    (gc.enable if is_enabled else gc.disable)()
    gc.set_threshold(1)
    gc.callbacks.append(note)
    try:
        objects = [[] for _ in range(100)]
        assert bool(collections) == is_enabled
        with compiler._without_collections():
            collections.clear()
            objects += [[] for _ in range(100)]
            assert collections == []
        assert is_right(load())
        assert gc.isenabled() == is_enabled
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*thresholds)
        (gc.enable if before else gc.disable)()


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip, lambda content: b""])
@pytest.mark.parametrize("suffix", [".nbc", ".nbi", ".txt"])
def test_a_damaged_cache_is_made_anew(load, capfd, tmp_path, damage, suffix):
    load()
    capfd.readouterr()
    for path in (tmp_path / "cache").rglob(f"*{suffix}"):
        path.write_bytes(damage(path.read_bytes()))
    damaged = load()
    assert n_hits(damaged) == 0
    assert is_right(damaged)
    assert "compiling" in capfd.readouterr().err
    assert n_hits(load()) == 2


def test_a_file_that_is_missing_is_made_anew(load, tmp_path):
    load()
    next((tmp_path / "cache").rglob("*.nbc")).unlink()
    assert is_right(load())
    assert n_hits(load()) == 2


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
    (parent,) = (tmp_path / "cache").iterdir()
    assert not [path for path in parent.iterdir() if path.is_dir()]


def test_what_does_not_compile_is_left_to_torch(load, tmp_path):
    (tmp_path / "tiny_kernels.py").write_text(TINY.replace("x + x", "x + missing"))
    with pytest.warns(RuntimeWarning, match="cannot be compiled here"):
        assert load() is None
    assert compiler.load_layers() is None  # without another warning


def _load_and_count(load, queue):
    layers = load()
    queue.put((is_right(layers), n_hits(layers)))


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
    assert sorted(hits for _, hits in results) == [0, 2, 2, 2]


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
