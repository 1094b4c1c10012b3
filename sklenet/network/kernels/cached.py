"""Load compiled kernels from numba's cache, faster than numba does."""

import contextlib
import gc
from collections.abc import Iterator, Sequence
from typing import Any


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Keep Python from collecting garbage.

    Importing numba and loading kernels creates hundreds of thousands of objects that stay.
    Each time their number has grown by a quarter, Python would look through all objects of
    the process, which takes two thirds of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def load_cached(dispatcher: Any, signatures: Sequence[str]) -> bool:
    """Load a compiled function from numba's cache, if it is there.

    numba itself first prepares everything that it needs to compile: the types and
    implementations of all functions that it knows, which takes longer than the rest. This
    function uses parts of numba that are not public. If they change, it fails, and
    `numba.njit` with the signatures does the same.

    Parameters
    ----------
    dispatcher : Dispatcher
        What `numba.njit` returns, without signatures but with a cache.
    signatures : sequence of str

    Returns
    -------
    bool
        Whether the function can be called now, for arguments of these types only.
    """
    try:
        from numba.core.compiler_lock import global_compiler_lock
        from numba.core.runtime import rtsys

        context = dispatcher.targetctx
        with global_compiler_lock:
            rtsys.initialize(context)
            for signature in signatures:
                result = dispatcher._cache._load_overload(signature, context)
                if result is None:
                    return False
                # So that functions that are compiled later can call this one.
                context.insert_user_function(
                    result.entry_point, result.fndesc, [result.library]
                )
                dispatcher.add_overload(result)
                dispatcher._cache_hits[signature] += 1
        dispatcher.disable_compile()
    except Exception:  # whatever another version of numba raises
        return False
    return True
