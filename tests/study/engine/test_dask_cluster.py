"""The processes that tests start are stopped with the tests."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from dask_cluster import start

TEST = """
import sys, time
from dask_cluster import start
process = start("-c", "import time; time.sleep(600)", cwd=".")
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel, and reads /proc")
def test_a_killed_test_leaves_no_processes():
    test = subprocess.Popen(
        [sys.executable, "-c", TEST], cwd=Path(__file__).parent, stdout=subprocess.PIPE
    )
    worker = Path("/proc") / test.stdout.readline().decode().strip()
    assert worker.exists()
    test.kill()
    test.wait()
    test.stdout.close()
    deadline = time.monotonic() + 10
    while worker.exists() and time.monotonic() < deadline:
        status = (worker / "stat").read_text() if worker.exists() else ") Z"
        if status.rpartition(")")[2].split()[0] == "Z":  # ended, but not waited for
            break
        time.sleep(0.05)
    else:
        assert not worker.exists()


def test_a_started_process_can_be_waited_for(tmp_path):
    assert start("-c", "raise SystemExit(7)", cwd=tmp_path).wait() == 7
