import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.preprocessing import PixelScaler
from sklenet.study import load, read_study, run_study
from sklenet.study.engine.evaluate import to_jsonable
from sklenet.study.engine.fit import clone_with_seed, hash_rows, make_fit_key


def pipeline(**params):
    return Pipeline(
        [("pixelscaler", PixelScaler()), ("classifier", LeNet5Classifier(**params))]
    )


def test_the_key_depends_on_everything_that_changes_the_weights():
    plain_key = make_fit_key(pipeline(), "mnist")
    others = [
        make_fit_key(pipeline(lr=0.002), "mnist"),
        make_fit_key(pipeline(random_state=0), "mnist"),
        make_fit_key(pipeline(augment=["flip"]), "mnist"),
        make_fit_key(pipeline(augment=[{"flip": 0.4}]), "mnist"),
        make_fit_key(pipeline(device="cpu"), "mnist"),
        make_fit_key(pipeline(), "cifar10"),
        make_fit_key(pipeline(), "mnist", "other rows"),
        make_fit_key(pipeline().set_params(pixelscaler__to="signed"), "mnist"),
        make_fit_key(pipeline()[1:], "mnist"),
    ]
    assert len({plain_key, *others}) == 1 + len(others)


@pytest.mark.parametrize(
    "params",
    [{"lr": 0.001}, {"feature_range": [0.0, 1.0]}, {"verbose": 1}],
)
def test_the_key_does_not_depend_on_defaults_and_verbosity(params):
    assert make_fit_key(pipeline(**params), "mnist") == make_fit_key(pipeline(), "mnist")


def test_the_key_does_not_change_when_a_parameter_is_added():
    class Newer(LeNet5Classifier):
        def __init__(self, *, novelty=None, lr=0.001, random_state=None):
            super().__init__(lr=lr, random_state=random_state)
            self.novelty = novelty

    Newer.__name__ = "LeNet5Classifier"
    newer = Pipeline([("classifier", Newer(lr=0.1))])
    older = Pipeline([("classifier", LeNet5Classifier(lr=0.1))])
    assert make_fit_key(newer, "mnist") == make_fit_key(older, "mnist")


def test_other_rows_have_another_hash():
    rows = np.arange(10)
    assert hash_rows(rows) == hash_rows(rows.astype(np.int32))
    assert hash_rows(rows) != hash_rows(rows[::-1])
    assert hash_rows(rows) != hash_rows(rows[:-1])


def test_the_seed_is_set_in_every_step():
    from sklearn.decomposition import PCA

    steps = Pipeline([("pca", PCA()), ("classifier", LeNet5Classifier())])
    seeded = clone_with_seed(steps, 3)
    assert seeded["pca"].random_state == seeded["classifier"].random_state == 3
    assert steps["pca"].random_state is None


def test_numbers_are_converted_for_json():
    value = {
        "a": (np.float32(0.5), np.int64(2), float("nan"), np.inf, None),
        1: print,
    }
    assert to_jsonable(value) == {"a": [0.5, 2, None, None, None], "1": repr(print)}


def test_class_weights_by_label_are_those_of_the_estimator(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        'name = "s"\ntitle = "t"\ndata = ["digits"]\n[estimator]\nmax_epochs = 2\n'
        "batch_size = 128\nclass_weight = { 0 = 5.0, 1 = 0.5 }\n"
    )
    folder = run_study(read_study(path), tmp_path)
    X, y = load_digits(return_X_y=True)
    weights = {0: 5.0, 1: 0.5}
    by_number = LeNet5Classifier(
        max_epochs=2, batch_size=128, class_weight=weights, random_state=0
    )
    test = load_digits(subset="test", return_X_y=True)
    assert load(folder)["test_accuracy"].tolist() == [by_number.fit(X, y).score(*test)]
