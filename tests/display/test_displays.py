"""Displays, compared with reference images.

    python tests/display/test_displays.py

creates the reference images again. Look at them before you commit them.
"""

import contextlib
import copy
import functools
import tempfile
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawn_pages import draw_sevens
from matplotlib.testing.compare import compare_images
from packaging.version import Version
from PIL import Image
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.display import (
    FeatureMapDisplay,
    FilterDisplay,
    MisclassifiedDisplay,
    NegativeDisplay,
    PredictionDisplay,
    SaliencyDisplay,
    TrainingHistoryDisplay,
)
from sklenet.preprocessing import Inverter

EXPECTED = Path(__file__).parent / "expected"
X, y = load_digits(return_X_y=True)


@functools.cache
def fit_grey(**params):
    """Return a classifier fitted to the first digits."""
    options = {"max_epochs": 3, "lr": 0.003, "random_state": 0} | params
    return LeNet5Classifier(**options).fit(X[:400], y[:400])


def fit_rgb():
    """Return a classifier fitted to RGB images, and the images."""
    images = np.stack([X[:200], 16 - X[:200], X[200:400]], axis=1).reshape(200, -1)
    model = LeNet5Classifier(
        image_shape=(3, 8, 8), connections="lecun1998", max_epochs=3, random_state=0
    )
    return model.fit(images, y[:200]), images


def classify_files() -> PredictionDisplay:
    """Return the display of a digit, of two digits, and of a file without a digit."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("seven.png", "two.png", "blank.png")]
        pages = draw_sevens(200), draw_sevens(100, 300), np.full((90, 120), 220, np.uint8)
        for path, page in zip(paths, pages, strict=True):
            Image.fromarray(page).save(path)
        with contextlib.chdir(folder):
            return PredictionDisplay.from_files(
                fit_grey(), [path.name for path in paths], framing="line"
            )


def make_displays() -> dict:
    model = fit_grey()
    rgb_model, images = fit_rgb()
    return {
        "predictions": classify_files(),
        "history": TrainingHistoryDisplay.from_estimator(model),
        "filters_c1": FilterDisplay.from_estimator(model),
        "filters_c3": FilterDisplay.from_estimator(rgb_model, layer="C3"),
        "filters_rgb": FilterDisplay.from_estimator(rgb_model),
        "feature_maps": FeatureMapDisplay.from_estimator(model, X[3]),
        "feature_maps_rgb": FeatureMapDisplay.from_estimator(rgb_model, images[3]),
        "misclassified": MisclassifiedDisplay.from_estimator(model, X, y, n_images=8),
        "negatives": NegativeDisplay.from_estimator(model, X[:6], y[:6]),
        "occlusion": SaliencyDisplay.from_estimator(model, X[:4]),
        "gradient": SaliencyDisplay.from_estimator(
            rgb_model, images[:4], method="gradient"
        ),
    }


@pytest.fixture(scope="module")
def displays():
    return make_displays()


@pytest.mark.skipif(
    Version(matplotlib.__version__) < Version("3.11"),
    reason="the figures to compare with were drawn by a version with other fonts",
)
@pytest.mark.parametrize("name", sorted(path.stem for path in EXPECTED.glob("*.png")))
def test_figures_equal_the_reference_images(name, displays, tmp_path):
    path = tmp_path / f"{name}.png"
    displays[name].figure_.savefig(path, dpi=60)
    # The last bits of the weights depend on the machine.
    difference = compare_images(str(EXPECTED / path.name), str(path), tol=5)
    assert difference is None


def test_every_display_has_a_reference_image(displays):
    assert {path.stem for path in EXPECTED.glob("*.png")} == set(displays)


def test_displays_have_axes_and_figure_attributes(displays):
    for name, display in displays.items():
        assert display.ax_.figure is display.figure_, name
        assert display.plot() is display


def test_displays_can_be_plotted_into_given_axes(displays):
    for name, display in displays.items():
        figure, (left, _) = plt.subplots(1, 2)
        assert display.plot(ax=left).figure_ is figure, name
        assert display.ax_ is left
        plt.close(figure)


def test_kernels_are_those_of_the_layer(displays):
    model = make_pipeline(Inverter(), LeNet5Classifier(max_epochs=1)).fit(X[:9], y[:9])
    display = FilterDisplay.from_estimator(model)
    assert np.array_equal(display.kernels, model[-1].module_.features.C1.weight.detach())
    assert display.kernels.shape == (6, 1, 5, 5)
    assert np.isnan(displays["filters_c3"].kernels[:, :, 0, 0]).sum() == 96 - 60


def test_kernels_of_an_unknown_layer_are_rejected():
    with pytest.raises(ValueError, match=r"'layer' .* one of {'C1', 'C3'}\. Got 'C2'"):
        FilterDisplay.from_estimator(fit_grey(), layer="C2")


def test_feature_maps_are_those_of_the_network():
    model = fit_grey(activation="tanh")
    display = FeatureMapDisplay.from_estimator(model, X[3].reshape(8, 8))
    shapes = {name: values.shape for name, values in display.feature_maps.items()}
    assert shapes == {
        "input": (1, 32, 32),
        "C1": (6, 28, 28),
        "S2": (6, 14, 14),
        "C3": (16, 10, 10),
        "S4": (16, 5, 5),
        "C5": (120,),
        "F6": (84,),
    }
    assert np.abs(display.feature_maps["C1"]).max() <= 1
    assert display.feature_maps["S2"].max() == display.feature_maps["C1"].max()
    assert display.probabilities == pytest.approx(model.predict_proba(X[3:4])[0], abs=1e-6)


@pytest.mark.parametrize("display", [FeatureMapDisplay, SaliencyDisplay])
def test_layers_and_saliency_are_those_of_the_image_alone(display):
    clf = fit_grey()
    plain = vars(display.from_estimator(clf, X[:1]))
    shifted = copy.copy(clf).set_params(views="shift")
    assert not np.array_equal(shifted.predict_proba(X[:1]), clf.predict_proba(X[:1]))
    same = vars(display.from_estimator(shifted, X[:1]))
    for name in {"probabilities", "saliency"} & set(plain):
        assert np.array_equal(same[name], plain[name])


def test_feature_maps_of_several_images_are_rejected():
    with pytest.raises(ValueError, match=r"one image of 64 pixels\. Got shape \(2, 64\)"):
        FeatureMapDisplay.from_estimator(fit_grey(), X[:2])


def test_images_and_negatives_add_up_to_the_maximum(displays):
    display = displays["negatives"]
    assert np.array_equal(display.images + display.negatives, np.full((6, 1, 8, 8), 16.0))


def test_saliency_is_high_where_the_digit_is():
    model = fit_grey(max_epochs=8)
    for method in ("occlusion", "gradient"):
        display = SaliencyDisplay.from_estimator(model, X[:20], method=method)
        assert display.saliency.shape == (20, 8, 8)
    occlusion = SaliencyDisplay.from_estimator(model, X[:20], window=2).saliency
    # The first and last columns of these digits are almost empty.
    assert occlusion[:, :, 2:6].mean() > 3 * np.abs(occlusion[:, :, [0, 7]]).mean()


def test_unknown_saliency_methods_and_classes_are_rejected():
    model = fit_grey()
    with pytest.raises(
        ValueError, match=r"'method' .* one of {'occlusion', 'gradient'}\. Got 'lime'"
    ):
        SaliencyDisplay.from_estimator(model, X[:1], method="lime")
    with pytest.raises(
        ValueError, match=r"'classes' .* only classes seen during fit\. Got 11"
    ):
        SaliencyDisplay.from_estimator(model, X[:1], classes=[11])


def test_gradient_saliency_is_the_derivative():
    model = fit_grey()
    display = SaliencyDisplay.from_estimator(model, X[:1], method="gradient", classes=[3])
    row, column = np.unravel_index(display.saliency[0].argmax(), (8, 8))
    step = np.zeros((8, 8))
    step[row, column] = 0.05
    both = model.predict_proba(np.array([X[0] + step.ravel(), X[0] - step.ravel()]))
    slope = np.diff(np.log(both[::-1, 3]))[0] / 0.1
    assert display.saliency[0].max() == pytest.approx(abs(slope), rel=0.05)


def test_gradient_saliency_of_a_confident_prediction_is_not_zero():
    model = fit_grey(max_epochs=25)
    certain = np.argsort(model.predict_proba(X).max(axis=1))[-3:]
    unlikely = model.predict_proba(X[certain]).argmin(axis=1)
    for classes in (None, model.classes_[unlikely]):
        display = SaliencyDisplay.from_estimator(
            model, X[certain], method="gradient", classes=classes
        )
        assert (display.saliency.max(axis=(1, 2)) > 0).all()


def test_images_that_are_not_square_keep_their_shape():
    model = LeNet5Classifier(image_shape=(4, 16), max_epochs=1).fit(X[:50], y[:50])
    wide = (1, 4, 16)
    assert MisclassifiedDisplay.from_estimator(model, X, y).images.shape[1:] == wide
    assert NegativeDisplay.from_estimator(model, X[:3]).images.shape[1:] == wide
    assert SaliencyDisplay.from_estimator(model, X[:3]).images.shape[1:] == wide
    feature_maps = FeatureMapDisplay.from_estimator(model, X[0]).feature_maps
    assert feature_maps["input"].shape == (1, 32, 32)


def test_three_kernels_of_c3_are_not_drawn_as_rgb():
    model = fit_grey(maps=(3, 2), connections=((0, 1), (1, 2)), max_epochs=1)
    display = FilterDisplay.from_estimator(model, layer="C3")
    n_images = [[len(ax.images) for ax in row] for row in display.axes_]
    assert n_images == [[1, 0], [1, 1], [0, 1]]


def test_axes_that_are_not_part_of_a_grid():
    ax = plt.figure().add_axes([0.1, 0.1, 0.5, 0.8])
    display = FilterDisplay.from_estimator(fit_grey(max_epochs=1), ax=ax)
    assert display.axes_[0, 0].get_position().x1 < 0.6


def test_data_frames_keep_their_column_names(recwarn):
    frame = pd.DataFrame(X[:50], columns=[f"p{k}" for k in range(64)])
    model = LeNet5Classifier(max_epochs=1).fit(frame, y[:50])
    for display in (NegativeDisplay, SaliencyDisplay):
        display.from_estimator(model, frame[:2])
    FeatureMapDisplay.from_estimator(model, frame[:1])
    assert not [w for w in recwarn if "feature names" in str(w.message)]


@pytest.mark.parametrize("display", [FilterDisplay, TrainingHistoryDisplay])
def test_estimators_that_are_not_fitted_are_rejected(display):
    with pytest.raises(ValueError, match="not fitted"):
        display.from_estimator(LeNet5Classifier())


def test_an_unknown_metric_is_rejected():
    with pytest.raises(
        ValueError, match=r"'metric' .* one of \[.*'train_loss'.*\]\. Got 'f1'"
    ):
        TrainingHistoryDisplay.from_estimator(fit_grey(max_epochs=1), metric="f1")


def test_from_search_plots_the_best_estimator():
    pipeline = make_pipeline(Inverter(), LeNet5Classifier(max_epochs=2, random_state=0))
    search = GridSearchCV(pipeline, {"lenet5classifier__lr": [1e-6, 0.003]}, cv=2)
    search.fit(X[:200], y[:200])
    display = TrainingHistoryDisplay.from_search(search)
    assert display.lines_[0].get_label() == "lr=0.003"
    best = search.best_estimator_[-1]
    assert display.lines_[0].get_ydata().tolist() == best.loss_curve_


if __name__ == "__main__":
    EXPECTED.mkdir(exist_ok=True)
    for name, display in make_displays().items():
        display.figure_.savefig(EXPECTED / f"{name}.png", dpi=60)
