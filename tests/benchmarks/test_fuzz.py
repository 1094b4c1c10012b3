"""Mutated files are read or rejected, without any other effect."""

import random
import subprocess
import sys

import fuzz
import pytest

N_INPUTS = {"models": 200, "images": 150, "studies": 90, "journals": 60}


@pytest.mark.parametrize("name", N_INPUTS)
def test_no_input_causes_a_violation(name, tmp_path, capsys):
    counts = fuzz.run(name, fuzz.KINDS[name], N_INPUTS[name], seed=1, folder=tmp_path)
    assert counts["escaped"] == 0, capsys.readouterr().out
    assert counts["read"] + counts["refused"] == N_INPUTS[name]
    assert counts["refused"] > 0
    assert list(tmp_path.iterdir()) == []


def test_all_kinds_are_tried():
    assert fuzz.KINDS.keys() == N_INPUTS.keys()
    assert sum(N_INPUTS.values()) == 500
    assert sum(kind.fraction for kind in fuzz.KINDS.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["models", "images"])
def test_inputs_are_diverse_and_reproducible(name):
    kind = fuzz.KINDS[name]
    inputs = {kind.make(random.Random(k)) for k in range(50)}
    assert len(inputs) > 40
    assert kind.make(random.Random(3)) in inputs


def fail(data, folder):
    raise RuntimeError("corrupt")


def start(data, folder):
    subprocess.run([sys.executable, "-c", ""], check=True)


def connect(data, folder):
    sys.audit("socket.connect", None, ("example.org", 80))


def report_error(data, folder):
    return 1, "sklenet: unexpected error: KeyError"


@pytest.mark.parametrize("attempt", [fail, start, connect, report_error])
def test_violations_are_counted_and_their_inputs_kept(attempt, tmp_path, capsys):
    kind = fuzz.Kind(lambda rng: b"input", attempt, 1.0)
    counts = fuzz.run("broken", kind, 2, seed=0, folder=tmp_path)
    assert (counts["read"], counts["refused"], counts["escaped"]) == (0, 0, 2)
    assert (tmp_path / "broken_0_1").read_bytes() == b"input"
    assert "broken 1: " in capsys.readouterr().out


def test_commands_may_start_programs():
    kind = fuzz.Kind(lambda rng: b"", start, 1.0, may_start_programs=True)
    assert fuzz.try_one(kind, b"") is False


def test_a_model_that_exhausts_memory_is_a_violation(monkeypatch, tmp_path):
    def load(path):
        raise ValueError("damaged") from MemoryError()

    monkeypatch.setattr(fuzz.LeNet5Classifier, "load", load)
    with pytest.raises(fuzz.Violation, match="memory for a file of 1 bytes"):
        fuzz.try_model(b"x", tmp_path)


def test_valid_models_and_images_are_read(tmp_path):
    metadata, tensors = fuzz._make_models()[0]
    assert fuzz.try_model(fuzz._to_file(tensors, metadata), tmp_path)
    assert all(fuzz.try_image(image, tmp_path) for image in fuzz._make_images()[:8])
