"""Compile each kernel when it is first needed, once per machine and version.

Compiling all kernels takes more than 20 seconds, but a fit needs only some of them. A
kernel is therefore compiled, or loaded from the cache, when it is first used, together with
the kernels that it calls. `prepare` does that in advance, so that torch can take over where
it fails.

The cache is a folder whose name depends on everything that the machine code depends on: the
processor, the versions of Python, numba and this package, and the source of the kernels. It
contains one folder per kernel, which is complete as soon as it exists, because it is made
under another name. It contains checksums of its files, because damaged machine code could
do anything.

The cache is in ``NUMBA_CACHE_DIR``, where that environment variable is set, and in the
user's cache folder otherwise. Where neither can be written to, every process compiles.
"""

import contextlib
import functools
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

from sklenet.network.kernels.cached import load_cached, without_collections

# What the compiler may do with floating-point arithmetic. NaN and infinity stay.
EXACT = {"contract"}  # a product and a sum in one instruction
SUMS = {"contract", "reassoc", "nsz"}  # also add up in another order, in vectors

_CHECKSUMS = "checksums.txt"
_DURATION = "10 to 20 seconds"  # as measured on one core of a Zen 3 machine
_LAYERS = "sklenet.network.kernels.layers"

_lock = threading.Lock()  # of the following four variables
_layers: ModuleType | None = None
_has_failed = False
_folder: Path | None = None  # the cache, or None where nothing can be kept
_is_announced = False

_compiling = threading.RLock()  # of kernels, which may call others

# Options of numba that spare compiling what is not used: a function that C could call, and
# one that Python can call. They are not in numba's reference; a version without them
# compiles a little longer.
_NOT_FROM_C = {"no_cfunc_wrapper": True}
_NOT_FROM_PYTHON = {"no_cfunc_wrapper": True, "no_cpython_wrapper": True}


class Kernel:
    """A function that is compiled, or loaded from the cache, when it is first called.

    What other kernels call is compiled separately, without the conversion of arguments that
    only calls from Python need, which takes a fifth of the time.

    Parameters
    ----------
    function : callable
        In the part of Python that numba compiles.
    signature : str or list of str
        The types of the arguments, as numba writes them.
    fastmath : set of str
        `EXACT` or `SUMS`.
    """

    def __init__(
        self, function: Callable, signature: str | list[str], fastmath: set[str]
    ) -> None:
        functools.update_wrapper(self, function)
        self.function, self.fastmath = function, fastmath
        self.signatures = [signature] if isinstance(signature, str) else signature
        self._compiled: Any = None  # what Python calls
        self._inner: Any = None  # what other kernels call

    def __call__(self, *args: Any) -> Any:
        return (self._compiled or self.load())(*args)

    @property
    def is_loaded(self) -> bool:
        """Whether the function has been compiled or loaded by this process."""
        return self._compiled is not None

    @property
    def stats(self) -> Any:
        """How often numba's cache was used."""
        return self.load().stats

    @property
    def _numba_type_(self) -> Any:
        # With this, another kernel that is being compiled can call this one.
        with _compiling:
            if self._compiled is None and self._inner is None:
                self._inner = self._load_or_compile(is_inner=True)
            return (self._compiled or self._inner)._numba_type_

    def load(self) -> Any:
        """Return the compiled function."""
        with _compiling:
            if self._compiled is None:
                self._compiled = self._load_or_compile()
        return self._compiled

    def _load_or_compile(self, is_inner: bool = False) -> Any:
        global _folder
        from numba.core.errors import NumbaError

        if _folder is not None:
            try:
                return self._load_cached(_folder, is_inner)
            except NumbaError:  # it cannot be compiled without a cache, either
                raise
            except Exception as error:  # no folder, a full disk, files that no longer open
                reason = f"{type(error).__name__}: {error}"
                _print(f"the compiled kernels cannot be kept ({reason}).")
                _folder = None
        _announce("They are not kept.")
        return self._compile(None, is_inner)

    def _load_cached(self, cache: Path, is_inner: bool) -> Any:
        """Return the compiled function from its folder, after filling it if necessary."""
        name = f"{self.__module__.rpartition('.')[2]}.{self.function.__name__}"
        folder = cache / (f"{name}.inner" if is_inner else name)
        if not _is_intact(folder):
            cache.mkdir(parents=True, exist_ok=True)
            # Of several processes that start at once, one compiles and the others wait.
            with _lock_file(f"{folder}.lock"):
                if not _is_intact(folder):
                    return self._compile_into(folder, is_inner)
        return self._load(folder, is_inner)

    def _compile_into(self, folder: Path, is_inner: bool) -> Any:
        """Compile the function and put it into its folder, all files at once."""
        _announce(f"They are kept in {folder.parent}.")
        temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            compiled = self._compile(temporary, is_inner)
            with contextlib.suppress(OSError):
                (temporary / _CHECKSUMS).write_text(_checksums(temporary))
                shutil.rmtree(folder, ignore_errors=True)
                temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return compiled

    def _compile(self, folder: Path | None, is_inner: bool) -> Any:
        """Compile the function; numba keeps it in the folder, or loads it from there."""
        with _use_folder(folder), without_collections():
            return self._make_dispatcher(folder, is_inner, self.signatures)

    def _load(self, folder: Path, is_inner: bool) -> Any:
        """Load the function from its complete folder."""
        if not is_inner:
            with _use_folder(folder), without_collections():
                dispatcher = self._make_dispatcher(folder, is_inner, None)
                if load_cached(dispatcher, self.signatures):
                    return dispatcher
        return self._compile(folder, is_inner)

    def _make_dispatcher(
        self, folder: Path | None, is_inner: bool, signatures: list[str] | None
    ) -> Any:
        import numba

        njit: Any = numba.njit
        return njit(
            signatures,
            nogil=True,
            error_model="numpy",
            fastmath=self.fastmath,
            cache=folder is not None,
            **_known_options(_NOT_FROM_PYTHON if is_inner else _NOT_FROM_C),
        )(self.function)


@contextlib.contextmanager
def _use_folder(folder: Path | None) -> Iterator[None]:
    """Let numba cache in this folder the functions that are decorated in the block."""
    import numba

    config: Any = numba.config
    # The setting is that of the whole process, and numba reads it when it decorates.
    before = config.CACHE_DIR
    config.CACHE_DIR = "" if folder is None else str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _known_options(options: dict[str, bool]) -> dict[str, bool]:
    """Return those options that this version of numba has."""
    try:
        from numba.core.cpu import CPUTargetOptions
    except ImportError:
        return {}
    return {k: value for k, value in options.items() if hasattr(CPUTargetOptions, k)}


def kernel(signature: str | list[str], fastmath: set[str]) -> Callable[[Callable], Kernel]:
    """Return a decorator that makes a `Kernel` of a function."""
    return functools.partial(Kernel, signature=signature, fastmath=fastmath)


def load_layers() -> ModuleType | None:
    """Return the module of compiled layers, or None where nothing can be compiled.

    It is None if the environment variable ``SKLENET_COMPILED`` is 0, if numba is missing
    or told not to compile (``NUMBA_DISABLE_JIT``), or if it fails, which is warned of.
    """
    global _layers
    if os.environ.get("SKLENET_COMPILED") == "0" or _has_failed:
        return None
    with _lock:
        if _layers is None:
            with without_collections():
                layers = _import_layers()
            # A compiler that does not work fails here, where torch can still take over.
            if layers is not None and prepare(*layers.ALWAYS):
                _layers = layers
        return _layers


def prepare(*kernels: Kernel) -> bool:
    """Compile kernels, or load them from the cache, and return whether that is possible.

    If it fails, `load_layers` returns None from then on.
    """
    global _has_failed
    try:
        for kernel_ in kernels:
            if not kernel_.is_loaded:
                kernel_.load()
    except Exception as error:
        if not _has_failed:
            warnings.warn(
                f"The training kernels cannot be compiled here, and torch computes"
                f" instead, which is slower: {type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=3,
            )
        _has_failed = True
    return not _has_failed


def _import_layers() -> ModuleType | None:
    """Import the modules of the kernels, whether compiled before or not."""
    global _folder
    try:
        import numba
    except ImportError:
        return None
    config: Any = numba.config
    if config.DISABLE_JIT:
        return None
    try:
        _folder = _cache_folder()
    except Exception as error:  # no home folder
        _print(f"the compiled kernels cannot be kept ({type(error).__name__}: {error}).")
        _folder = None
    return importlib.import_module(_LAYERS)


def _announce(where: str) -> None:
    """Say, once, that a process compiles."""
    global _is_announced
    if not _is_announced:
        _print(
            "compiling the training kernels for this processor and version, which takes"
            f" {_DURATION}. {where}"
        )
    _is_announced = True


def _print(message: str) -> None:
    print(f"sklenet: {message}", file=sys.stderr, flush=True)


@functools.cache
def _lock_file(path: str) -> Any:
    """Return the lock of a kernel, always the same object."""
    from filelock import FileLock

    return FileLock(path, timeout=300)


def _cache_folder() -> Path:
    """Return the folder of what is compiled here, whether it exists or not."""
    import llvmlite
    import llvmlite.binding
    import numba
    import platformdirs

    import sklenet

    own = os.environ.get("NUMBA_CACHE_DIR")
    parent = Path(own) if own else platformdirs.user_cache_path("sklenet", appauthor=False)
    options: dict[str, Any] = {
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
    global _lock, _compiling
    # Another thread of the parent may have held the old ones.
    _lock, _compiling = threading.Lock(), threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
