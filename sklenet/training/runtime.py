"""Process settings of training: the allocator, threads, torch's defaults, the device."""

import ctypes
import functools
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from threadpoolctl import LibController, OpenBLASController, ThreadpoolController

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_allocator_is_set = False


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed memory for the next training step.

    By default glibc gives a step's large activation buffers back to the kernel and faults
    them in again, page by page, at the next step, which can double the time of an epoch.
    This raises the two thresholds above which it does so to 1 GiB, once per process.
    `release_freed_memory` gives the memory back after a fit.

    Nothing happens where the C library is not glibc, or where the environment variable
    ``SKLENET_KEEP_MEMORY`` is ``0``.

    Returns
    -------
    bool
        Whether the setting is in force.
    """
    global _allocator_is_set
    if os.environ.get("SKLENET_KEEP_MEMORY") == "0":
        return _allocator_is_set
    if not _allocator_is_set and sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            threshold = 1 << 30
            _allocator_is_set = bool(
                libc.mallopt(_M_MMAP_THRESHOLD, threshold)
                and libc.mallopt(_M_TRIM_THRESHOLD, threshold)
            )
    return _allocator_is_set


_MAX_RELEASE_TIME = 0.05  # fraction of the process's time
_next_release = -math.inf


def release_freed_memory() -> None:
    """Give memory that glibc kept for further training steps back to the system.

    Without this, fits of varying sizes fragment the memory that is kept, so that a process
    that makes thousands of them grows. It takes about a millisecond. Nothing happens where
    `keep_freed_memory` is not in force, or so soon after the last time that it would take
    more than a twentieth of the time.
    """
    global _next_release
    start = time.monotonic()
    if _allocator_is_set and start >= _next_release:
        ctypes.CDLL(None).malloc_trim(0)
        end = time.monotonic()
        _next_release = end + (end - start) / _MAX_RELEASE_TIME


class _ProcessSetting:
    """A setting of the whole process, changed while at least one thread needs it.

    Blocks that overlap in several threads share the change: the first one makes it, the
    last one restores the value that the first one found.

    Parameters
    ----------
    get, set_ : callable
    value : object
        The value inside the blocks.
    is_per_thread : bool, default=False
        Whether each thread also has a setting of its own, to be changed and restored in
        each of them.
    """

    def __init__(self, get, set_, value, *, is_per_thread: bool = False) -> None:
        self.get, self.set, self.value = get, set_, value
        self.is_per_thread = is_per_thread
        self.reset()

    def reset(self) -> None:
        """Forget the blocks of other threads, which a forked process does not have."""
        self._lock = threading.Lock()
        self._n_blocks = 0
        self._own = threading.local()

    def __enter__(self) -> None:
        self._own.n_blocks = getattr(self._own, "n_blocks", 0) + 1
        with self._lock:
            if self._n_blocks == 0:
                self._before = self.get()
            self._n_blocks += 1
        try:
            if self.is_per_thread or self._before != self.value:
                self.set(self.value)
        except BaseException:  # Ctrl-C: without this, the change would be for good
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self._own.n_blocks -= 1
        with self._lock:
            self._n_blocks -= 1
            is_last = self._n_blocks == 0
            if self.is_per_thread:
                is_last = self._own.n_blocks == 0
            if is_last and (self.is_per_thread or self._before != self.value):
                self.set(self._before)


_one_thread = _ProcessSetting(
    torch.get_num_threads, torch.set_num_threads, 1, is_per_thread=True
)
_float32 = _ProcessSetting(torch.get_default_dtype, torch.set_default_dtype, torch.float32)


def _get_precision(operations) -> str:
    """Return the precision of products on the CPU: "ieee" is that of float32."""
    precision = operations.fp32_precision
    return "ieee" if precision == "none" else precision


def _make_precision_settings() -> list[_ProcessSetting]:
    """Return the settings under which products on the CPU have float32's precision."""
    mkldnn = torch.backends.mkldnn
    if not hasattr(mkldnn, "matmul"):  # torch before 2.9 has one setting for all products
        get, set_ = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
        return [_ProcessSetting(get, set_, "highest")]
    return [
        _ProcessSetting(
            functools.partial(_get_precision, operations),
            functools.partial(setattr, operations, "fp32_precision"),
            "ieee",
        )
        for operations in (mkldnn.matmul, mkldnn.conv)  # type: ignore[attr-defined]
    ]


_full_precision = _make_precision_settings()


def one_thread() -> _ProcessSetting:
    """Return a context in which torch computes in the calling thread alone."""
    return _one_thread


_is_forked = False


def _after_fork() -> None:
    global _is_forked
    _is_forked = True
    one_blas_thread.reset()
    for setting in (_one_thread, _float32, *_full_precision):
        setting.reset()


@contextmanager
def library_state() -> Iterator[None]:
    """Run under torch's and numpy's own defaults, and restore the caller's afterwards.

    The default dtype and device, the gradient and inference modes, autocasting, the
    precision of matrix products and numpy's handling of floating-point errors are the
    caller's; they must change neither results nor what is kept for later calls.

    In a forked process torch uses the calling thread alone: the threads of OpenMP that
    its parent had started do not exist there, and waiting for them would never end.
    """
    with ExitStack() as stack:
        stack.enter_context(_float32)
        for setting in _full_precision:
            stack.enter_context(setting)
        # torch.get_default_device fails in torch 2.6 after set_default_device(None).
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if _is_forked:
            stack.enter_context(_one_thread)
        stack.enter_context(
            np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
        )
        yield


@contextmanager
def seeded_generator(seed: int) -> Iterator[None]:
    """Seed torch's global generator, and restore its state afterwards.

    Custom layers and losses, such as those with ``torch.nn.Dropout``, draw from it.
    """
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        yield


class _OneBlasThread:
    """Limit numpy's linear algebra to the calling thread, for all fits in the process.

    Its number of threads is one setting of the whole process, whichever thread makes it:
    fits in several threads share the limit, and the last one to end lifts it.

    Attributes
    ----------
    n_fits : int
        That train at the moment.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the fits of other threads, which a forked process does not have."""
        self._lock = threading.Lock()
        self.n_fits = 0

    def __enter__(self) -> None:
        with self._lock:
            if self.n_fits == 0:
                blas = _find_blas()
                self._before = [(library, library.get_num_threads()) for library in blas]
                self._set([(library, 1) for library in blas])
            self.n_fits += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.n_fits -= 1
            if self.n_fits == 0:
                self._set(self._before)

    @staticmethod
    def _set(numbers: list[tuple[LibController, int]]) -> None:
        # threadpoolctl lets one thread, the first to set it, change OpenBLAS's number, and
        # ignores the others: here whichever thread comes first or last has to.
        clear = getattr(OpenBLASController, "clear_controlling_thread", lambda **_: None)
        clear(force=True)
        for library, number in numbers:
            library.set_num_threads(number)
        clear(force=True)


@functools.cache
def _find_blas() -> list[LibController]:
    """Return the controllers of the BLAS libraries that numpy and scipy have loaded.

    Both are loaded before the first fit; searching for them takes a millisecond.
    """
    return ThreadpoolController().select(user_api="blas").lib_controllers


one_blas_thread = _OneBlasThread()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the torch device that `device` names; "auto" is CUDA where there is one.

    Raises
    ------
    ValueError
        If torch knows no such device, or this machine does not have it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        if resolved.type == "meta":  # has no values
            raise NotImplementedError
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        available = ["'cpu'"]
        available += [f"'cuda:{k}'" for k in range(torch.cuda.device_count())]
        raise ValueError(
            f"The 'device' parameter is {str(device)!r}, which torch cannot use here;"
            f" available: 'auto', {', '.join(available)}."
        ) from error
    return resolved
