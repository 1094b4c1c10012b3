"""Methods that save, load and export, before anything is done."""

import subprocess
import sys

import pytest
from sklearn.exceptions import NotFittedError

from sklenet import LeNet5Classifier

UNFITTED = {
    "save": lambda path: LeNet5Classifier().save(path),
    "to_torch": lambda path: LeNet5Classifier().to_torch(),
    "to_onnx": lambda path: LeNet5Classifier().to_onnx(path),
    "summary": lambda path: LeNet5Classifier().summary(),
}


@pytest.mark.parametrize("name", UNFITTED)
def test_methods_require_a_fitted_estimator(name, tmp_path):
    with pytest.raises(NotFittedError, match="LeNet5Classifier instance is not fitted"):
        UNFITTED[name](tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_modules_of_persistence_are_imported_when_they_are_needed():
    code = "import sys; from sklenet.estimator import LeNet5Classifier; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"pydantic", "safetensors"} & set(done.stdout.split())


def test_load_returns_the_class_on_which_it_is_called(fitted, tmp_path):
    class Subclass(LeNet5Classifier):
        pass

    fitted.save(tmp_path / "model")
    assert type(Subclass.load(str(tmp_path / "model"))) is Subclass
