"""Displays, by what they draw: some of it looked up, all of it compared with pictures.

    python tests/display/test_pictures.py

draws the pictures anew; look at them before you commit them.
"""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.testing.compare import compare_images
from packaging.version import Version
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.display import (
    FeatureMapDisplay,
    FilterDisplay,
    MisclassifiedDisplay,
    NegativeDisplay,
    SaliencyDisplay,
    TrainingHistoryDisplay,
)
from sklenet.preprocessing import Inverter

matplotlib.use("agg")

EXPECTED = Path(__file__).parent / "expected"
X, y = load_digits(return_X_y=True)


def grey(**params):
    options = {"max_epochs": 3, "lr": 0.003, "random_state": 0} | params
    return LeNet5Classifier(**options).fit(X[:400], y[:400])


def colour():
    images = np.stack([X[:200], 16 - X[:200], X[200:400]], axis=1).reshape(200, -1)
    model = LeNet5Classifier(
        image_shape=(3, 8, 8), connections="lecun1998", max_epochs=3, random_state=0
    )
    return model.fit(images, y[:200]), images


def draw() -> dict:
    model = grey()
    of_colour, images = colour()
    return {
        "history": TrainingHistoryDisplay.from_estimator(model),
        "filters_c1": FilterDisplay.from_estimator(model),
        "filters_c3": FilterDisplay.from_estimator(of_colour, layer="C3"),
        "filters_colour": FilterDisplay.from_estimator(of_colour),
        "maps": FeatureMapDisplay.from_estimator(model, X[3]),
        "maps_colour": FeatureMapDisplay.from_estimator(of_colour, images[3]),
        "mistakes": MisclassifiedDisplay.from_estimator(model, X, y, n_images=8),
        "negatives": NegativeDisplay.from_estimator(model, X[:6], y[:6]),
        "occlusion": SaliencyDisplay.from_estimator(model, X[:4]),
        "gradient": SaliencyDisplay.from_estimator(
            of_colour, images[:4], method="gradient"
        ),
    }


@pytest.fixture(scope="module")
def drawn():
    return draw()


@pytest.mark.skipif(
    Version(matplotlib.__version__) < Version("3.11"),
    reason="the figures to compare with were drawn by a version with other fonts",
)
@pytest.mark.parametrize("name", sorted(path.stem for path in EXPECTED.glob("*.png")))
def test_pictures(name, drawn, tmp_path):
    path = tmp_path / f"{name}.png"
    drawn[name].figure_.savefig(path, dpi=60)
    # Weights differ in their last bits from machine to machine.
    difference = compare_images(str(EXPECTED / path.name), str(path), tol=5)
    assert difference is None


def test_every_display_has_a_picture(drawn):
    assert {path.stem for path in EXPECTED.glob("*.png")} == set(drawn)


def test_every_display_has_the_attributes_of_displays(drawn):
    for name, display in drawn.items():
        assert display.ax_.figure is display.figure_, name
        assert display.plot() is display


def test_drawn_into_axes_of_ones_own(drawn):
    import matplotlib.pyplot as plt

    for name, display in drawn.items():
        figure, (left, _) = plt.subplots(1, 2)
        assert display.plot(ax=left).figure_ is figure, name
        assert display.ax_ is left
        plt.close(figure)


def test_kernels_are_the_layers(drawn):
    model = grey()
    display = FilterDisplay.from_estimator(
        make_pipeline(Inverter(), model).fit(X[:9], y[:9])
    )
    assert display.kernels.shape == (6, 1, 5, 5)
    assert np.isnan(drawn["filters_c3"].kernels[:, :, 0, 0]).sum() == 96 - 60
    with pytest.raises(ValueError, match="'layer' is 'C2', but must be 'C1' or 'C3'"):
        FilterDisplay.from_estimator(model, layer="C2")


def test_maps_are_the_networks():
    model = grey(activation="tanh")
    display = FeatureMapDisplay.from_estimator(model, X[3].reshape(8, 8))
    shapes = {name: values.shape for name, values in display.maps.items()}
    assert shapes == {
        "input": (1, 32, 32),
        "C1": (6, 28, 28),
        "S2": (6, 14, 14),
        "C3": (16, 10, 10),
        "S4": (16, 5, 5),
        "C5": (120,),
        "F6": (84,),
    }
    assert np.abs(display.maps["C1"]).max() <= 1
    assert display.maps["S2"].max() == display.maps["C1"].max()
    assert display.probabilities == pytest.approx(model.predict_proba(X[3:4])[0], abs=1e-6)
    with pytest.raises(ValueError, match=r"One image is drawn, of 64 pixels; .* \(2, 64\)"):
        FeatureMapDisplay.from_estimator(model, X[:2])


def test_negatives_are_negatives(drawn):
    display = drawn["negatives"]
    assert np.array_equal(display.images + display.negatives, np.full((6, 1, 8, 8), 16.0))


def test_saliency_is_where_the_digit_is():
    model = grey(max_epochs=8)
    for method in ("occlusion", "gradient"):
        display = SaliencyDisplay.from_estimator(model, X[:20], method=method)
        assert display.saliency.shape == (20, 8, 8)
    occlusion = SaliencyDisplay.from_estimator(model, X[:20], window=2).saliency
    # The first and the last columns of these digits hold next to nothing.
    assert occlusion[:, :, 2:6].mean() > 3 * np.abs(occlusion[:, :, [0, 7]]).mean()
    with pytest.raises(ValueError, match="'method' is 'lime', but must be"):
        SaliencyDisplay.from_estimator(model, X[:1], method="lime")
    with pytest.raises(ValueError, match="'classes' have 11, which was not learnt"):
        SaliencyDisplay.from_estimator(model, X[:1], classes=[11])


def test_the_gradient_is_the_derivative():
    model = grey()
    display = SaliencyDisplay.from_estimator(model, X[:1], method="gradient", classes=[3])
    row, column = np.unravel_index(display.saliency[0].argmax(), (8, 8))
    step = np.zeros((8, 8))
    step[row, column] = 0.05
    both = model.predict_proba(np.array([X[0] + step.ravel(), X[0] - step.ravel()]))
    slope = np.diff(np.log(both[::-1, 3]))[0] / 0.1
    assert display.saliency[0].max() == pytest.approx(abs(slope), rel=0.05)


def test_the_gradient_of_a_guess_that_is_certain():
    model = grey(max_epochs=25)
    certain = np.argsort(model.predict_proba(X).max(axis=1))[-3:]
    unlikely = model.predict_proba(X[certain]).argmin(axis=1)
    for classes in (None, model.classes_[unlikely]):
        display = SaliencyDisplay.from_estimator(
            model, X[certain], method="gradient", classes=classes
        )
        assert (display.saliency.max(axis=(1, 2)) > 0).all()


def test_images_that_are_not_square():
    model = LeNet5Classifier(image_shape=(4, 16), max_epochs=1).fit(X[:50], y[:50])
    wide = (1, 4, 16)
    assert MisclassifiedDisplay.from_estimator(model, X, y).images.shape[1:] == wide
    assert NegativeDisplay.from_estimator(model, X[:3]).images.shape[1:] == wide
    assert SaliencyDisplay.from_estimator(model, X[:3]).images.shape[1:] == wide
    assert FeatureMapDisplay.from_estimator(model, X[0]).maps["input"].shape == (1, 32, 32)


def test_kernels_of_three_maps_are_no_colours():
    model = grey(maps=(3, 2), connections=[(0, 1), (1, 2)], max_epochs=1)
    display = FilterDisplay.from_estimator(model, layer="C3")
    drawn = [[len(ax.images) for ax in row] for row in display.axes_]
    assert drawn == [[1, 0], [1, 1], [0, 1]]


def test_axes_that_were_put_somewhere_by_hand():
    import matplotlib.pyplot as plt

    ax = plt.figure().add_axes([0.1, 0.1, 0.5, 0.8])
    display = FilterDisplay.from_estimator(grey(max_epochs=1), ax=ax)
    assert display.axes_[0, 0].get_position().x1 < 0.6


def test_frames_with_names(recwarn):
    frame = pd.DataFrame(X[:50], columns=[f"p{k}" for k in range(64)])
    model = LeNet5Classifier(max_epochs=1).fit(frame, y[:50])
    for display in (NegativeDisplay, SaliencyDisplay):
        display.from_estimator(model, frame[:2])
    FeatureMapDisplay.from_estimator(model, frame[:1])
    assert not [w for w in recwarn if "feature names" in str(w.message)]


def test_what_is_not_fitted_and_what_is_not_known():
    for show in (FilterDisplay, TrainingHistoryDisplay):
        with pytest.raises(ValueError, match="not fitted"):
            show.from_estimator(LeNet5Classifier())
    with pytest.raises(
        ValueError, match=r"'metric' is 'loss', but known are .*'train_loss'"
    ):
        TrainingHistoryDisplay.from_estimator(grey(max_epochs=1), metric="loss")


def test_history_of_a_search_is_the_best_fits():
    pipeline = make_pipeline(Inverter(), LeNet5Classifier(max_epochs=2, random_state=0))
    search = GridSearchCV(pipeline, {"lenet5classifier__lr": [1e-6, 0.003]}, cv=2)
    search.fit(X[:200], y[:200])
    display = TrainingHistoryDisplay.from_search(search)
    assert display.lines_[0].get_label() == "lr=0.003"
    best = search.best_estimator_[-1]
    assert display.lines_[0].get_ydata().tolist() == best.loss_curve_


if __name__ == "__main__":
    EXPECTED.mkdir(exist_ok=True)
    for name, display in draw().items():
        display.figure_.savefig(EXPECTED / f"{name}.png", dpi=60)
