"""Compile the kernels, once per machine and version, and keep what was compiled.

numba compiles all kernels in up to half a minute. The result is kept in a folder whose
name depends on everything that the machine code depends on: the processor, the versions
of Python, numba and this package, and the source of the kernels. A folder is complete as
soon as it exists, because it is made under another name. It contains checksums of its
files, because damaged machine code could do anything.

The folder is in ``NUMBA_CACHE_DIR``, where that environment variable is set, and in the
user's cache folder otherwise. Where neither can be written to, every process compiles.
"""

import contextlib
import gc
import hashlib
import importlib
import os
import platform
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

# What the compiler may do with floating-point arithmetic. NaN and infinity stay.
EXACT = {"contract"}  # a product and a sum in one instruction
SUMS = {"contract", "reassoc", "nsz"}  # also add up in another order, in vectors

_CHECKSUMS = "checksums.txt"
_LAYERS = "sklenet.network.kernels.layers"

_lock = threading.Lock()
_layers: ModuleType | None = None
_has_failed = False
_folder: Path | None = None  # of the cache, while modules of kernels are imported
_is_cached = False  # whether that folder has all of them
_loading = threading.RLock()  # of kernels, which may call others


def kernel(signature: str | list[str], fastmath: set[str]) -> Callable[[Callable], Any]:
    """Return a decorator that compiles a function for arguments of these types.

    Parameters
    ----------
    signature : str or list of str
        As numba writes it.
    fastmath : set of str
        `EXACT` or `SUMS`.
    """
    import numba

    folder = _folder
    config: Any = numba.config

    def decorate(function: Callable) -> Any:
        def compile_() -> Any:
            # The setting is that of the whole process, and numba reads it here.
            before = config.CACHE_DIR
            config.CACHE_DIR = "" if folder is None else str(folder)
            try:
                return numba.njit(
                    signature,
                    nogil=True,
                    error_model="numpy",
                    fastmath=fastmath,
                    cache=folder is not None,
                )(function)
            finally:
                config.CACHE_DIR = before

        return _CachedKernel(compile_) if _is_cached else compile_()

    return decorate


class _CachedKernel:
    """A kernel that is loaded from the cache when it is first called.

    Loading takes some milliseconds per kernel. Most fits need only a few of them, and
    kernels that are called by others are part of these.

    Parameters
    ----------
    load : callable
        Returns the compiled function.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._function: Any = None

    def __call__(self, *args: Any) -> Any:
        return (self._function or self.load())(*args)

    def load(self) -> Any:
        """Return the compiled function."""
        with _loading, _without_collections():
            if self._function is None:
                self._function = self._load()
        return self._function

    @property
    def stats(self) -> Any:
        """How often numba's cache was used."""
        return self.load().stats

    @property
    def _numba_type_(self) -> Any:
        # With this, another kernel that has to be compiled after all can call this one.
        return self.load()._numba_type_


def load_layers() -> ModuleType | None:
    """Return the module of compiled layers, or None where nothing can be compiled.

    It is None if the environment variable ``SKLENET_COMPILED`` is 0, if numba is missing
    or told not to compile (``NUMBA_DISABLE_JIT``), or if it fails, which is warned of.
    """
    global _layers, _has_failed
    if os.environ.get("SKLENET_COMPILED") == "0" or _has_failed:
        return None
    with _lock:
        if _layers is None and not _has_failed:
            try:
                with _without_collections():
                    _layers = _load()
            except Exception as error:
                _has_failed = True
                warnings.warn(
                    f"The training kernels cannot be compiled here, and torch computes"
                    f" instead, which is slower: {type(error).__name__}: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return _layers


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
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


def _load() -> ModuleType | None:
    """Compile the kernels or load them from the cache; return the module of layers."""
    try:
        import numba
    except ImportError:
        return None
    config: Any = numba.config
    if config.DISABLE_JIT:
        return None
    try:
        return _load_cached(_cache_folder())
    except Exception as error:  # no folder, a full disk, files that no longer open
        _announce(f"They cannot be kept ({type(error).__name__}: {error}).")
        return _import_layers(None)


def _load_cached(folder: Path) -> ModuleType:
    """Load the kernels from the folder, after filling it where necessary."""
    if not _is_intact(folder):
        from filelock import FileLock

        folder.parent.mkdir(parents=True, exist_ok=True)
        # Of several processes that start at once, one compiles and the others wait.
        with FileLock(f"{folder}.lock", timeout=300):
            if not _is_intact(folder):
                return _compile_into(folder)
    return _import_layers(folder, is_cached=True)


def _compile_into(folder: Path) -> ModuleType:
    """Compile the kernels and put them into the folder, all at once."""
    _announce(f"They are kept in {folder}.")
    temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        layers = _import_layers(temporary)
        with contextlib.suppress(OSError):
            (temporary / _CHECKSUMS).write_text(_checksums(temporary))
            shutil.rmtree(folder, ignore_errors=True)
            temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return layers


def _import_layers(folder: Path | None, *, is_cached: bool = False) -> ModuleType:
    """Import the modules of the kernels, with numba's cache in a folder, or without.

    They are compiled at once, unless the folder has all of them.
    """
    global _folder, _is_cached
    _folder, _is_cached = folder, is_cached
    return importlib.import_module(_LAYERS)


def _announce(where: str) -> None:
    print(
        "sklenet: compiling the training kernels for this processor and version, which"
        f" takes up to half a minute. {where}",
        file=sys.stderr,
        flush=True,
    )


def _cache_folder() -> Path:
    """Return the folder of what is compiled here, whether it exists or not."""
    import llvmlite
    import llvmlite.binding
    import numba
    import platformdirs

    import sklenet

    own = os.environ.get("NUMBA_CACHE_DIR")
    parent = Path(own) if own else platformdirs.user_cache_path("sklenet", appauthor=False)
    options = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("NUMBA_")
        and name not in ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS")
    }
    parts = [
        platform.platform(),
        sys.version,
        llvmlite.__version__,
        llvmlite.binding.get_host_cpu_name(),
        llvmlite.binding.get_host_cpu_features().flatten(),
        repr(sorted(options.items())),
    ]
    for path in sorted(Path(__file__).parent.glob("*.py")):
        stat = path.stat()  # which numba compares, too
        parts += [str(path), str(stat.st_mtime), str(stat.st_size)]
        parts += [hashlib.sha256(path.read_bytes()).hexdigest()]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    name = f"{sklenet.__version__}-numba{numba.__version__}-{key}"
    return parent / "sklenet-kernels" / name if own else parent / "kernels" / name


def _checksums(folder: Path) -> str:
    """Return the SHA-256 sums of all files in a folder, one per line."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n"
        for path in files
        if path.name != _CHECKSUMS
    )


def _is_intact(folder: Path) -> bool:
    """Return whether the folder is complete and its files are those that were written."""
    try:
        return (folder / _CHECKSUMS).read_text() == _checksums(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _after_fork() -> None:
    global _lock, _loading
    # Another thread of the parent may have held the old ones.
    _lock, _loading = threading.Lock(), threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
