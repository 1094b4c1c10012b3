"""Measure LeNet5Classifier compared with the alternatives.

    python benchmarks/measure/speed.py  # everything: about half an hour
    python benchmarks/measure/speed.py fit predict  # some groups; other records are kept
    python benchmarks/measure/speed.py --guard  # a minute: a short fit only

The groups are "fit" (MNIST, two threads, beside other ways to train), "threads" (one and
two threads, MNIST and CIFAR-10), "batch" (batch sizes), "predict", "import",
"search", "memory", "step" (ways to write a step of torch), "kernels" (GFLOP/s),
"first_fit" (compiling and loading the kernels) and "gpu", which is not among everything.

Everything that is compared runs in a process of its own, in turn; ratios are of runs of
the same repeat. On a GPU, one process does everything. It needs a machine that does nothing
else, and the data in ``$SKLENET_DATA``; the guard and the GPU do not need them.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import contenders

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "speed" / "records.jsonl"

# What the guard allows: far more than noise, far less than a real regression. The ratio
# depends on the processor, because torch's loop profits more from some than the kernels do.
MAX_RATIO, MAX_FAULTS, MAX_STEP_BYTES = 0.7, 20_000, 20_000_000

# Before the guard's clock starts, each contender makes a fit of so many images: loading
# numba and the compiled kernels takes as long as some 200 training steps, once per process.
N_WARM_UP = 640

IMPORTS = {"others": "import torch, sklearn, skorch", "sklenet": "import sklenet"}

# Networks that need different kernels.
FIRST_FITS = {
    "LeNet5Classifier()": "LeNet5Classifier(max_epochs=1)",
    "presets.lecun1998()": "LeNet5Classifier(**presets.lecun1998() | {'max_epochs': 1})",
    "GELU, average pooling, RBF, NAdam, elastic distortions": "LeNet5Classifier("
    "activation='gelu', pooling='avg', output='rbf', loss='map', optimizer='nadam',"
    " augment='elastic', max_epochs=1)",
}
_FIRST_FIT = """
import json, time
from sklenet import LeNet5Classifier, presets
from sklenet.datasets import load_digits
X, y = load_digits(return_X_y=True)
seconds = []
for _ in range(2):
    start = time.perf_counter()
    %s.fit(X[:640], y[:640])
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""

# Workers and their torch threads.
SEARCHES = {
    "1 worker, 1 thread": (1, "loky", 1),
    "1 worker, 2 threads": (1, "loky", 2),
    "2 workers, loky": (2, "loky", 1),
    "2 workers, threading": (2, "threading", 1),
}
# What two cores of this machine can do: two programs that have nothing in common.
SEPARATE = "2 programs, 1 worker each"


def mnist(n_images: int):
    """Return MNIST's training images and labels, and the test set's."""
    from sklenet.datasets import fetch_mnist

    X, y = fetch_mnist(return_X_y=True)
    return X[:n_images], y[:n_images], *fetch_mnist(subset="test", return_X_y=True)


def cifar10(n_images: int):
    """Return CIFAR-10's training images and labels, and the test set's."""
    from sklenet.datasets import fetch_cifar10

    X, y = fetch_cifar10(return_X_y=True)
    return X[:n_images], y[:n_images], *fetch_cifar10(subset="test", return_X_y=True)


def made_up(n_images: int):
    """Return images of 28x28 pixels made of the embedded digits, for speed alone."""
    import numpy as np

    from sklenet.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    images = np.pad(X.reshape(-1, 8, 8).repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))
    rows = np.arange(n_images) % len(X)
    X = (images.reshape(len(X), -1) * (255 / 16)).astype(np.uint8)[rows]
    return X, y[rows], X[:1000], y[rows][:1000]


def fit(name: str, n_images: int, data=mnist, n_warm_up: int = 0) -> dict:
    """Train one contender."""
    _import_optimizers()
    X, y, X_test, y_test = data(n_images)
    if n_warm_up:
        contenders.FITS[name](X[:n_warm_up], y[:n_warm_up])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds, prepare, predict = contenders.FITS[name](X, y)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": statistics.mean(seconds),
        "faults": (usage.ru_minflt - before) / contenders.EPOCHS,
        "peak_mb": usage.ru_maxrss / 1024,
        "accuracy": float((predict(prepare(X_test)) == y_test).mean()),
    }


DATA = {"MNIST": mnist, "CIFAR-10": cifar10}
THREADS = ("1 thread", "2 threads")
SIZES = (8, 32, 256, 1024)
BESIDE = ("loop_without_faults", "sklenet")


def threads(name: str, n_images: int) -> dict:
    """Train one contender on some data, with a number of threads."""
    import torch

    data, n_threads, contender = name.split(", ")
    torch.set_num_threads(int(n_threads.split()[0]))
    return fit(contender, n_images, DATA[data])


def gpu(name: str, n_images: int, n_repeats: int = 3) -> dict:
    """Train all contenders on a GPU in turn, in one process, which imports only once."""
    import torch

    if not torch.cuda.is_available():
        sys.exit("The group 'gpu' needs a GPU that torch can use.")
    torch.set_num_threads(1)
    X, y, X_test, _ = made_up(n_images)
    times: dict[str, dict] = {
        name: {"fit": [], "predict": []} for name in contenders.ON_GPU
    }
    for repeat in range(-1, n_repeats):
        for name, contender in contenders.ON_GPU.items():
            if repeat < 0:  # a fit that is not counted
                contender(X[:6400], y[:6400])
                continue
            seconds, prepare, predict = contender(X, y)
            start = time.perf_counter()
            predict(prepare(X_test))
            times[name]["fit"].append(statistics.mean(seconds))
            times[name]["predict"].append(time.perf_counter() - start)
    return {"times": times, "n_images": n_images, "n_predicted": len(X_test)}


def batch(name: str, n_images: int) -> dict:
    """Train one contender with batches of a size, on one thread."""
    import torch

    torch.set_num_threads(1)
    size, contender = name.split(", ")
    contenders.BATCH = int(size)
    return fit(contender, n_images, n_warm_up=N_WARM_UP)


def kernels(name: str, n_images: int) -> dict:
    """Measure the operations per second of each kernel; see kernel_speed.py."""
    import kernel_speed

    return {"kernels": kernel_speed.measure()}


def predict(name: str, n_images: int) -> dict:
    """Train one contender a little, and let it predict."""
    X, y, *_ = mnist(60_000)
    _, prepare, predict = contenders.FITS[name](X[:2000], y[:2000])
    images = prepare(X[:n_images])
    predict(images[:1000])
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        predict(images)
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds)}


def imports(name: str, n_images: int) -> dict:
    """Import one list of packages."""
    start = time.perf_counter()
    exec(IMPORTS[name])
    return {"seconds": time.perf_counter() - start}


def search(name: str, n_images: int) -> dict:
    """Run a grid search on some workers, which have been started before."""
    if name == SEPARATE:
        return _search_in_two_programs()
    import torch
    from joblib import parallel_config
    from sklearn.model_selection import GridSearchCV

    from sklenet import LeNet5Classifier

    n_workers, backend, n_threads = SEARCHES[name]
    torch.set_num_threads(n_threads)
    X, y, *_ = mnist(n_images)
    grid = GridSearchCV(
        LeNet5Classifier(max_epochs=1, batch_size=contenders.BATCH, random_state=0),
        {"lr": [0.0005, 0.001, 0.002, 0.005]},
        cv=2,
        refit=False,
        n_jobs=n_workers,
    )
    with parallel_config(backend):
        start = time.perf_counter()
        grid.fit(X[:1000], y[:1000])
        started = time.perf_counter() - start
        with RunningThreads() as running:
            start = time.perf_counter()
            grid.fit(X, y)
            seconds = time.perf_counter() - start
    return {
        "fits_per_minute": 8 / seconds * 60,
        "first_small_search": started,
        "running_threads": running.quantiles(),
        "scores": grid.cv_results_["mean_test_score"].tolist(),
    }


def _search_in_two_programs() -> dict:
    """Run the same search in two programs at once, and add up their fits per minute."""
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(
            lambda _: run_in_process("--one", "search", "1 worker, 1 thread"), range(2)
        )
        first, second = runs
    return first | {"fits_per_minute": first["fits_per_minute"] + second["fits_per_minute"]}


class RunningThreads:
    """Count the threads of this process and its children that run, 20 times a second."""

    def __enter__(self):
        self.counts: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        own = f"{os.getpid()}/task/{threading.get_native_id()}"
        while not self._over.wait(0.05):
            states = [
                _state(task)
                for process in (os.getpid(), *_children(os.getpid()))
                for task in Path(f"/proc/{process}/task").glob("*")
                if not str(task).endswith(own)
            ]
            self.counts.append(states.count("R"))

    def quantiles(self) -> dict[str, float]:
        """Return the median, the 95th percentile and the largest of the counts."""
        ordered = sorted(self.counts)
        return {
            "median": statistics.median(ordered),
            "95%": ordered[int(0.95 * (len(ordered) - 1))],
            "max": ordered[-1],
        }


def _state(task: Path) -> str:
    try:
        return task.joinpath("stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # it has ended
        return ""


def _children(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").glob("*"):
        try:
            found += map(int, task.joinpath("children").read_text().split())
        except OSError:
            continue
    return found + [grandchild for child in found for grandchild in _children(child)]


def memory(name: str, n_images: int) -> dict:
    """Fit whole CIFAR-10 from its bytes."""
    import sklenet
    from sklenet.datasets import fetch_cifar10

    idle = _memory_mb("VmRSS")
    X, y = fetch_cifar10(return_X_y=True)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    sklenet.LeNet5Classifier(max_epochs=1, random_state=0).fit(X, y)
    return {
        "data_mb": X.nbytes / 2**20,
        "idle_mb": idle,
        "peak_mb": _memory_mb("VmHWM"),
    }


def _memory_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def step(name: str, n_images: int) -> dict:
    """Take training steps of one kind after the other; see steps.py."""
    import steps

    return {"milliseconds": steps.measure(n_threads=int(name.split()[0]))}


def first_fit(name: str, n_images: int) -> dict:
    """Fit on one thread with an empty cache of kernels, and then in another process."""
    command = [sys.executable, "-c", _FIRST_FIT % FIRST_FITS[name]]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder, "OMP_NUM_THREADS": "1"}
        empty, full = (
            json.loads(subprocess.check_output(command, env=environment)) for _ in range(2)
        )
    return {"empty_cache": empty[0], "later_process": full[0], "second_fit": full[1]}


def _import_optimizers() -> None:
    # The first optimizer of a process imports half of torch, whoever makes it.
    import torch

    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


# What is compared, and how many images and repeats it takes.
GROUPS = {
    "fit": (fit, list(contenders.FITS), 60_000, 3),
    "threads": (
        threads,
        [f"{data}, {n}, {name}" for data in DATA for n in THREADS for name in BESIDE],
        30_000,
        3,
    ),
    "batch": (
        batch,
        [f"{size}, {name}" for size in SIZES for name in (*BESIDE, "sklenet_by_torch")],
        10_000,
        3,
    ),
    "predict": (predict, list(contenders.PREDICTS), 60_000, 3),
    "import": (imports, list(IMPORTS), 0, 7),
    "search": (search, [*SEARCHES, SEPARATE], 60_000, 3),
    "memory": (memory, ["sklenet"], 0, 2),
    "step": (step, list(THREADS), 0, 2),
    "kernels": (kernels, ["1 thread"], 0, 3),
    "first_fit": (first_fit, list(FIRST_FITS), 0, 3),
    "gpu": (gpu, ["contenders"], 60_000, 1),
}


def run_in_process(*arguments: str) -> dict:
    """Return what this file prints with these arguments, in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1])


def measure(groups: list[str]) -> None:
    """Record groups anew, each interleaved, and keep the records of the others."""
    from sklenet.study.engine.journal import Journal
    from sklenet.study.engine.provenance import collect_provenance

    for group in groups:
        _, names, _, n_repeats = GROUPS[group]
        records = [record for record in Journal(RECORDS) if record["group"] != group]
        records.append({"kind": "run", "group": group} | collect_provenance())
        for repeat in range(n_repeats):
            for name in names:
                taken = run_in_process("--one", group, name)
                records.append({"kind": "one", "group": group, "name": name} | taken)
                print(group, repeat + 1, name, taken, flush=True)
        RECORDS.unlink(missing_ok=True)
        for record in records:
            Journal(RECORDS).append(record)


def guard(n_images: int = 12_800, n_repeats: int = 5) -> list[str]:
    """Return the names of the limits that a short fit exceeds, beside the bare loop."""
    names = ("loop_without_faults", "sklenet")
    pairs = [
        [run_in_process("--guarded", name, str(n_images)) for name in names]
        for _ in range(n_repeats)
    ]
    ratio = statistics.median(b["seconds"] / a["seconds"] for a, b in pairs)
    faults = statistics.median(b["faults"] for _, b in pairs)
    step_bytes = run_in_process("--guarded", "step_bytes", str(n_images))["bytes"]
    limits = {
        "seconds of a second fit, over the bare loop's": (ratio, MAX_RATIO),
        "minor page faults per epoch": (faults, MAX_FAULTS),
        "bytes that training needs beside the data": (step_bytes, MAX_STEP_BYTES),
    }
    for what, (value, limit) in limits.items():
        print(f"{what}: {value:,.2f}, at most {limit:,}")
    return [what for what, (value, limit) in limits.items() if value > limit]


def step_bytes(n_images: int) -> dict:
    """Return the most that numpy's arrays and Python took at a time, in a second epoch."""
    from sklenet import LeNet5Classifier

    X, y, *_ = made_up(n_images)
    model = LeNet5Classifier(max_epochs=1, warm_start=True, random_state=0).fit(X, y)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    model.fit(X, y)
    return {"bytes": tracemalloc.get_traced_memory()[1] - before}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], metavar="GROUP")
    parser.add_argument("--guard", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--guarded", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.one:
        group, name = arguments.one
        function, _, n_images, _ = GROUPS[group]
        print(json.dumps(function(name, n_images)))
    elif arguments.guarded:
        name, n_images = arguments.guarded[0], int(arguments.guarded[1])
        one = (
            step_bytes(n_images)
            if name == "step_bytes"
            else fit(name, n_images, made_up, N_WARM_UP)
        )
        print(json.dumps(one))
    elif arguments.guard:
        worse = guard()
        sys.exit(f"worse than it should be: {', '.join(worse)}" if worse else 0)
    else:
        measure(arguments.groups or [group for group in GROUPS if group != "gpu"])
