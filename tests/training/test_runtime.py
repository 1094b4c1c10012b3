"""Settings of the process: memory, threads and device."""

import ctypes
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sklenet.training import runtime
from sklenet.training.runtime import keep_freed_memory, one_thread, resolve_device

# Counts page faults in a loop that allocates and frees 16 MiB, like training steps.
FAULTS = """
import resource, torch
from sklenet.training.runtime import keep_freed_memory
keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(25):  # the heap may move until small allocations have their places
    torch.ones(4 << 20)
before = faults()
for _ in range(20):
    torch.ones(4 << 20)
print(faults() - before)
"""

THREADS = """
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
X, y = load_digits(return_X_y=True)
threadpool_limits(3)
torch.set_num_threads(3)
def show():
    print([(pool["user_api"], pool["num_threads"]) for pool in threadpool_info()],
          torch.get_num_threads())
model = LeNet5Classifier(max_epochs=1)
model.fit(X[:100], y[:100])
show()
show()
"""

# Overlapping blocks in threads, together with a limit of the main thread.
BLAS_THREADS = """
import threading
import numpy
from threadpoolctl import threadpool_info, threadpool_limits
from sklenet.training.runtime import one_blas_thread
def numbers():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
def overlapping():
    seen, second, first_is_over = [], threading.Event(), threading.Event()
    def first():
        with one_blas_thread:
            seen.append(numbers())
            assert second.wait(30)
        first_is_over.set()
    def other():
        with one_blas_thread:
            second.set()
            assert first_is_over.wait(30)
            seen.append(numbers())
    threads = [threading.Thread(target=run) for run in (first, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen
limits = threadpool_limits(3, user_api="blas")
print(overlapping(), numbers())
with threadpool_limits(2, user_api="blas"):
    print(overlapping(), numbers())
print(overlapping(), numbers())
"""


def page_faults(**environment):
    done = subprocess.run(
        [sys.executable, "-c", FAULTS],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason="the C library is not glibc")
def test_freed_memory_is_not_faulted_in_again():
    kept = page_faults(SKLENET_KEEP_MEMORY="1")
    given_back = page_faults(SKLENET_KEEP_MEMORY="0", MALLOC_MMAP_THRESHOLD_="131072")
    # The heap may move once, which causes 4,096 faults.
    assert kept < 5_000
    assert given_back > 5 * max(kept, 100)


def test_a_fit_restores_the_number_of_threads():
    done = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, check=True
    )
    before, after = done.stdout.splitlines()
    assert before == after


def test_fits_in_threads_share_a_limit_which_the_last_one_removes():
    done = subprocess.run(
        [sys.executable, "-c", BLAS_THREADS], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"[{{1}}, {{1}}] {{{n}}}" for n in (3, 2, 3)]


WEIGHTS = """
import hashlib, os, sys
if sys.argv[1:]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import torch
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
X, y = load_digits(return_X_y=True)
threads = torch.get_num_threads()
model = LeNet5Classifier(max_epochs=1, batch_size=96, random_state=0).fit(X[:300], y[:300])
assert torch.get_num_threads() == threads
weights = b"".join(p.detach().numpy().tobytes() for p in model.module_.parameters())
print(threads, hashlib.sha256(weights + model.predict_proba(X[:50]).tobytes()).hexdigest())
"""


def test_weights_do_not_depend_on_cores_and_threads():
    def fit(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, "-c", WEIGHTS, *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    one_core = fit("one core")
    asked_for = [fit(OMP_NUM_THREADS=str(n)) for n in (1, 2)]
    assert [threads for threads, _ in asked_for] == ["1", "2"]
    assert {weights for _, weights in [one_core, *asked_for]} == {one_core[1]}


def test_other_c_libraries_are_not_changed(monkeypatch):
    monkeypatch.setattr(runtime, "_allocator_is_set", False)
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()


def test_overlapping_blocks_restore_the_number_of_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    second, first_is_over = threading.Event(), threading.Event()

    def first():
        with one_thread():
            assert second.wait(30)
        first_is_over.set()

    def other():
        with one_thread():
            second.set()
            assert first_is_over.wait(30)

    seen = []
    with ThreadPoolExecutor(2) as pool:
        a = pool.submit(first)
        time.sleep(0.05)
        b = pool.submit(other)
        a.result(), b.result()
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join()
    torch.set_num_threads(before)
    assert seen == [3]


def test_resolve_device():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda")
    for device in ("cuda:99", "gpu", "meta"):
        with pytest.raises(ValueError, match=f"'device' parameter is '{device}'.*'cpu'"):
            resolve_device(device)


RELEASED = """
import time
from pathlib import Path
import torch
from sklenet.training import runtime

def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

assert runtime.keep_freed_memory()
kept = []
for _ in range(200):  # large blocks with small ones between them, which remain
    block = torch.ones(50_000)
    kept.append(torch.ones(4))
    kept.append(block)
full = memory()
del kept[1::2], block
assert memory() > full - 5_000_000
runtime.release_freed_memory()
released = memory()
assert released < full - 30_000_000, (full, released)
assert runtime._next_release > time.monotonic() - 1
again = [torch.ones(50_000) for _ in range(100)]
full = memory()
del again
runtime._next_release = time.monotonic() + 100  # no release so soon
runtime.release_freed_memory()
assert memory() > full - 5_000_000
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="the C library is not glibc",
)
def test_kept_memory_is_released():
    subprocess.run([sys.executable, "-c", RELEASED], check=True)
