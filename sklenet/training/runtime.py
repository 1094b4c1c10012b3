"""What training sets in the process: the allocator, threads, the device."""

import ctypes
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

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


_torch_lock = threading.Lock()
_torch_alone = 0  # how many blocks of `one_thread` there are at the moment
_torch_threads = 1  # and how many threads torch had before the first of them


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in the calling thread alone.

    Its number of threads is partly the calling thread's, and partly the process's, which
    new threads begin with: blocks that overlap in several threads share what it was.
    """
    global _torch_alone, _torch_threads
    with _torch_lock:
        if _torch_alone == 0:
            _torch_threads = torch.get_num_threads()
        _torch_alone += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _torch_lock:
            _torch_alone -= 1
            torch.set_num_threads(_torch_threads)


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
        self._lock = threading.Lock()
        self.n_fits = 0

    def __enter__(self) -> None:
        with self._lock:
            if self.n_fits == 0:
                blas = ThreadpoolController().select(user_api="blas").lib_controllers
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


one_blas_thread = _OneBlasThread()


def resolve_device(device: str) -> torch.device:
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
            f"The 'device' parameter is {device!r}, which torch cannot use here; available:"
            f" 'auto', {', '.join(available)}."
        ) from error
    return resolved
