"""Memory and threads of searches in several processes."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV

from sklenet import LeNet5Classifier

N = 3000  # of 784 bytes each: joblib makes memory maps of arrays of over 1 MB


def images():
    generator = np.random.RandomState(0)
    return generator.randint(0, 256, (N, 784), dtype=np.uint8), np.arange(N) % 3


class Witness(LeNet5Classifier):
    """An estimator whose fit records which files of joblib its process has mapped."""

    def fit(self, X, y):
        super().fit(X[:100], y[:100])
        lines = Path("/proc/self/maps").read_text().splitlines()
        self.maps_ = {line.split()[-1] for line in lines if "joblib_memmapping" in line}
        self.process_, self.threads_ = os.getpid(), torch.get_num_threads()
        return self


def seen(fitted, X, y):
    assert len(fitted.maps_) == 1
    name = next(iter(fitted.maps_))
    return {
        "map": zlib.crc32(name.encode()),
        "process": fitted.process_,
        "threads": fitted.threads_,
    }


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="there is no /proc")
def test_workers_share_a_memory_map_and_use_one_thread_each():
    search = GridSearchCV(
        Witness(max_epochs=1, random_state=0),
        {"lr": [0.001, 0.01]},
        cv=2,
        scoring=seen,
        refit=False,
        n_jobs=2,
        error_score="raise",
    )
    with parallel_config("loky"):
        results = search.fit(*images()).cv_results_
    tests = {
        name: {value for k in range(2) for value in results[f"split{k}_test_{name}"]}
        for name in ("map", "process", "threads")
    }
    assert os.getpid() not in tests["process"]
    assert len(tests["map"]) == 1
    assert tests["threads"] == {1}
