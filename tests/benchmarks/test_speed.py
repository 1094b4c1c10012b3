"""What guards the fit's speed: it measures, and it notices."""

import subprocess
import sys
from pathlib import Path

import pytest
import speed

ROOT = Path(__file__).parents[2]


def one(seconds=1.0, faults=100):
    return {"seconds": seconds, "faults": faults}


def guarded(monkeypatch, fit, step_bytes=1e6):
    """Return what the guard finds worse, with these measurements instead of its own."""
    measured = {
        "loop_without_faults": one(),
        "sklenet": fit,
        "step_bytes": {"bytes": step_bytes},
    }
    monkeypatch.setattr(speed, "run_in_process", lambda _, name, n: measured[name])
    return speed.guard()


def test_the_guard_lets_a_fast_fit_pass(monkeypatch):
    assert guarded(monkeypatch, one(0.45)) == []


@pytest.mark.parametrize(
    ("fit", "step_bytes", "what"),
    [
        (one(0.8), 1e6, "seconds"),
        (one(0.3, faults=1e6), 1e6, "page faults"),
        (one(0.3), 1e9, "bytes"),
    ],
)
def test_the_guard_notices(monkeypatch, fit, step_bytes, what):
    (worse,) = guarded(monkeypatch, fit, step_bytes)
    assert what in worse


def test_the_guard_measures(monkeypatch):
    for name, fields in (("sklenet", {"seconds", "faults"}), ("step_bytes", {"bytes"})):
        taken = speed.run_in_process("--guarded", name, "640")
        assert all(taken[field] > 0 for field in fields)


def test_unknown_groups_are_refused():
    process = subprocess.run(
        [sys.executable, "benchmarks/measure/speed.py", "fits"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2
    assert "invalid choice: 'fits'" in process.stderr
