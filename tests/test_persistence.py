import numpy as np
import pytest

from sklenet import persistence


def test_what_was_saved_predicts_the_same(fitted, digits, tmp_path):
    X_test = digits[2]
    path = tmp_path / "model.joblib"
    persistence.save(fitted, path)
    loaded = persistence.load(path)
    assert np.array_equal(loaded.predict_proba(X_test), fitted.predict_proba(X_test))
    assert [p.name for p in tmp_path.iterdir()] == ["model.joblib"]


def test_a_failed_save_leaves_the_old_file(fitted, tmp_path):
    path = tmp_path / "model.joblib"
    persistence.save(fitted, path)
    before = path.read_bytes()
    with pytest.raises(Exception, match="pickle"):
        persistence.save(lambda: None, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.joblib"]
