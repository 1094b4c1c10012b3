"""Settings of the process during training: memory allocator, threads, torch's defaults."""

import ctypes
import functools
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from threadpoolctl import LibController, OpenBLASController, ThreadpoolController

# Constants of malloc.h in glibc.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_allocator_is_set = False


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for the next training step.

    By default, glibc returns the large activation buffers of a step to the kernel, so that
    their pages have to be faulted in again at the next step, which can double the time of
    an epoch. This function raises the two thresholds for doing so to 1 GiB, once per
    process. `release_freed_memory` returns the memory after a fit.

    Nothing is changed if the C library is not glibc, or if the environment variable
    ``SKLENET_KEEP_MEMORY`` is ``0``.

    Returns
    -------
    is_set : bool
        Whether the thresholds have been raised.
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


_MAX_RELEASE_TIME = 0.05  # maximum fraction of the time spent on releasing memory
_next_release = -math.inf


def release_freed_memory() -> None:
    """Return the memory that glibc has kept for training steps to the system.

    Otherwise, fits of varying sizes would fragment this memory, and a process with
    thousands of fits would grow. The call takes about a millisecond. It has no effect if
    `keep_freed_memory` has changed nothing, or so soon after the last call that more than
    5 % of the time would be spent.
    """
    global _next_release
    start = time.monotonic()
    if _allocator_is_set and start >= _next_release:
        ctypes.CDLL(None).malloc_trim(0)
        end = time.monotonic()
        _next_release = end + (end - start) / _MAX_RELEASE_TIME


class _ProcessSetting:
    """A context manager for a setting of the process that several threads may change.

    Overlapping blocks of several threads share the change: the first one makes it, and the
    last one restores the original value.

    Parameters
    ----------
    get, set_ : callable
        Functions that return and set the value.
    value : object
        Value inside the blocks.
    is_per_thread : bool, default=False
        Whether each thread also has its own value, which must be changed and restored in
        each of them.
    """

    def __init__(self, get, set_, value, *, is_per_thread: bool = False) -> None:
        self.get, self.set, self.value = get, set_, value
        self.is_per_thread = is_per_thread
        self.reset()

    def reset(self) -> None:
        """Forget the blocks of other threads, which do not exist in a forked process."""
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
        except BaseException:  # Ctrl-C, which would make the change permanent
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
    """Return the precision of matrix products on the CPU; "ieee" is full float32."""
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


def _make_cuda_settings() -> list[_ProcessSetting]:
    """Return the settings under which a GPU computes in full float32, and reproducibly."""
    if not torch.backends.cuda.is_built():
        return []
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    precisions: list[tuple[Any, str, Any]]
    if hasattr(cudnn, "conv"):  # since torch 2.9
        precisions = [(each, "fp32_precision", "ieee") for each in (matmul, cudnn.conv)]
    else:
        precisions = [(each, "allow_tf32", False) for each in (matmul, cudnn)]
    return [
        _ProcessSetting(
            functools.partial(getattr, owner, name),
            functools.partial(setattr, owner, name),
            value,
        )
        for owner, name, value in (
            *precisions,
            (cudnn, "deterministic", True),
            (cudnn, "benchmark", False),  # would choose algorithms by their times
        )
    ]


_full_precision = [*_make_precision_settings(), *_make_cuda_settings()]


def one_thread() -> _ProcessSetting:
    """Return a context manager in which torch uses only the calling thread."""
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
    """Use the default settings of torch and numpy, and restore the caller's afterwards.

    The default dtype and device, the gradient and inference modes, autocasting, the
    precision of matrix products and the handling of floating-point errors by numpy belong
    to the caller; they must not influence results, nor objects that later calls use.

    In a forked process, torch uses only the calling thread: the OpenMP threads that the
    parent process has started do not exist there, so that waiting for them would never
    end.
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
def seeded_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators, and restore their states afterwards.

    Custom layers and losses, such as ``torch.nn.RReLU``, draw from the generator of the CPU
    or from that of a GPU.
    """
    is_on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if is_on_gpu else ()):
        torch.default_generator.manual_seed(seed)
        if is_on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


class _OneBlasThread:
    """A context manager that limits the BLAS libraries of numpy and scipy to one thread.

    The number of threads is a setting of the process: fits in several threads share the
    limit, and the last one to end removes it.

    Attributes
    ----------
    n_fits : int
        Number of fits that are running.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the fits of other threads, which do not exist in a forked process."""
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
        # threadpoolctl only lets the first thread that sets the number of threads of
        # OpenBLAS change it again, but here different threads may set and restore it.
        clear = getattr(OpenBLASController, "clear_controlling_thread", lambda **_: None)
        clear(force=True)
        for library, number in numbers:
            library.set_num_threads(number)
        clear(force=True)


@functools.cache
def _find_blas() -> list[LibController]:
    """Return the controllers of the BLAS libraries of numpy and scipy.

    They are cached, because both libraries are loaded before the first fit and searching
    for them takes a millisecond.
    """
    return ThreadpoolController().select(user_api="blas").lib_controllers


one_blas_thread = _OneBlasThread()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the torch device for the parameter `device`.

    Parameters
    ----------
    device : str or torch.device
        "auto" is CUDA if this process can use it, otherwise the CPU.

    Raises
    ------
    ValueError
        If there is no such device, or this process cannot use it.
    """
    if device == "auto":
        can_use = torch.cuda.is_available() and not _parent_used_cuda()
        return _add_index(torch.device("cuda" if can_use else "cpu"))
    try:
        resolved = torch.device(device)
        if resolved.type == "meta":  # its tensors have no values
            raise NotImplementedError
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        available = ["'cpu'"]
        available += [f"'cuda:{k}'" for k in range(torch.cuda.device_count())]
        raise ValueError(
            f"The 'device' parameter is {str(device)!r}, which torch cannot use in this"
            f" process. Available devices: 'auto', {', '.join(available)}."
        ) from error
    return _add_index(resolved)


def _add_index(device: torch.device) -> torch.device:
    """Return a device that stays the same if another GPU becomes the current one."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def find_device(device: str | torch.device) -> torch.device:
    """Return the device of a saved model, or the CPU if this process cannot use it."""
    try:
        return resolve_device(device)
    except ValueError:
        return torch.device("cpu")


def _parent_used_cuda() -> bool:
    """Return whether this process was forked from one that had used a GPU."""
    return _is_forked and torch.cuda._is_in_bad_fork()


def check_process() -> None:
    """Check that torch's optimizers work in this process.

    Raises
    ------
    RuntimeError
        If it was forked from a process that had used a GPU. Optimizers of torch then fail
        on every device, because they ask CUDA for its state.
    """
    if _parent_used_cuda():
        raise RuntimeError(
            "This process was forked from one that had used a GPU, after which torch can"
            " train on no device, the CPU included. Start processes by 'spawn' or with"
            " joblib's 'loky'."
        )
