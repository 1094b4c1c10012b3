import gc

import pytest

numba = pytest.importorskip("numba")

from sklenet.network.kernels.cached import load_cached, without_collections  # noqa: E402


@pytest.mark.parametrize("is_enabled", [True, False])
def test_garbage_is_not_collected_within(is_enabled):
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
        with without_collections():
            collections.clear()
            objects += [[] for _ in range(100)]
            assert collections == []
        assert gc.isenabled() == is_enabled
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*thresholds)
        (gc.enable if before else gc.disable)()


def add(x, y):
    return x + y


@pytest.fixture
def dispatch(tmp_path, monkeypatch):
    """Return what numba.njit returns, with its cache in tmp_path."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return lambda *signature: numba.njit(*signature, cache=True)(add)


def test_what_is_not_cached_is_not_loaded(dispatch):
    assert not load_cached(dispatch(), ["f4(f4, f4)"])


def test_all_signatures_are_loaded_and_no_others_compiled(dispatch):
    signatures = ["f4(f4, f4)", "i8(i8, i8)"]
    dispatch(signatures)
    dispatcher = dispatch()
    assert load_cached(dispatcher, signatures)
    assert dispatcher(1, 2) == 3
    assert dispatcher.stats.cache_hits.total() == 2
    with pytest.raises(TypeError, match="No matching definition"):
        dispatcher(1j, 2)


def test_numba_is_not_prepared_to_compile(dispatch, monkeypatch):
    dispatch("i8(i8, i8)")
    monkeypatch.setattr("numba.core.cpu.CPUContext.refresh", None)
    dispatcher = dispatch()
    assert load_cached(dispatcher, ["i8(i8, i8)"])
    assert dispatcher(1, 2) == 3


def test_functions_that_are_compiled_later_can_call_it(dispatch):
    dispatch("i8(i8, i8)")
    dispatcher = dispatch()
    assert load_cached(dispatcher, ["i8(i8, i8)"])

    @numba.njit("i8(i8)")
    def double(x):
        return dispatcher(x, x)

    assert double(3) == 6


def test_another_version_of_numba_may_lack_what_is_used(dispatch, monkeypatch):
    dispatch("i8(i8, i8)")
    monkeypatch.delattr("numba.core.caching.Cache._load_overload")
    assert not load_cached(dispatch(), ["i8(i8, i8)"])
