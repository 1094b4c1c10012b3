import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklenet import LeNet5Classifier
from sklenet.display import TrainingHistoryDisplay


def make_history(*losses, valid=()):
    history = [{"train_loss": loss, "train_accuracy": 1 - loss / 4} for loss in losses]
    for epoch, loss in zip(history, valid, strict=False):
        epoch |= {"valid_loss": loss, "valid_accuracy": 1 - loss / 5}
    return history


def labels_of(display):
    return [line.get_label() for line in display.lines_]


def test_from_estimator_plots_loss_and_accuracy_on_linear_axes(fitted):
    display = TrainingHistoryDisplay.from_estimator(fitted)
    loss, accuracy = display.lines_
    assert np.allclose(loss.get_ydata(), fitted.loss_curve_)
    expected = [epoch["train_accuracy"] for epoch in fitted.history_]
    assert np.allclose(accuracy.get_ydata(), expected)
    assert [ax.get_ylabel() for ax in display.axes_] == ["train loss", "train accuracy"]
    assert [ax.get_yscale() for ax in display.axes_] == ["linear", "linear"]
    assert display.ax_ is display.axes_[0]
    assert display.ax_.figure is display.figure_


def test_validation_curves_share_the_panels_and_colours_of_the_training_curves(digits):
    X, y, *_ = digits
    model = LeNet5Classifier(max_epochs=2, random_state=0)
    model.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    display = TrainingHistoryDisplay.from_estimator(model)
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "accuracy"]
    keys = ["train_loss", "valid_loss", "train_accuracy", "valid_accuracy"]
    for key, line in zip(keys, display.lines_, strict=True):
        assert line.get_ydata().tolist() == [epoch[key] for epoch in model.history_]
    assert labels_of(display) == ["training", "validation"] * 2
    assert [line.get_linestyle() for line in display.lines_] == ["-", "--"] * 2
    assert len({line.get_color() for line in display.lines_}) == 1
    shown = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert shown == ["training", "validation"]


def test_mean_over_fits_with_different_numbers_of_epochs():
    histories = {"a": [[{"train_loss": 1.0}, {"train_loss": 0.5}], [{"train_loss": 3.0}]]}
    display = TrainingHistoryDisplay.from_histories(histories)
    assert display.lines_[0].get_ydata().tolist() == [2.0, 0.5]
    assert labels_of(display) == ["a (n = 2)"]
    (band,) = display.ax_.collections
    assert band.get_datalim(display.ax_.transData).ymax == 3.0


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        ("loss", ["a, training", "b, training", "a, validation"]),
        ("accuracy", ["a, training", "b, training", "a, validation"]),
        ("train_loss", ["a", "b"]),
        ("valid_loss", ["a"]),
    ],
)
def test_fits_with_and_without_validation_data(metric, labels):
    histories = {"a": [make_history(2, 1, valid=(3, 2))], "b": [make_history(4, 3)]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display = TrainingHistoryDisplay.from_histories(histories, metric=metric)
    assert len(display.axes_) == 1
    assert labels_of(display) == labels
    colors = {line.get_label()[0]: line.get_color() for line in display.lines_}
    assert all(line.get_color() == colors[line.get_label()[0]] for line in display.lines_)
    assert len(set(colors.values())) == len(colors)


def test_a_single_epoch_is_visible():
    display = TrainingHistoryDisplay.from_history(make_history(2))
    assert all(line.get_marker() == "o" for line in display.lines_)
    display = TrainingHistoryDisplay.from_history(make_history(2, 1))
    assert all(line.get_marker() == "None" for line in display.lines_)


def test_given_axes_have_one_panel_each():
    history = make_history(2, 1, valid=(3, 2))
    _, axes = plt.subplots(1, 2)
    display = TrainingHistoryDisplay.from_history(history, ax=axes)
    assert display.axes_.tolist() == axes.tolist()
    assert len(display.lines_) == 4
    _, ax = plt.subplots()
    display = TrainingHistoryDisplay.from_history(history, ax=ax)
    assert display.axes_.tolist() == [ax]
    assert ax.get_ylabel() == "loss"
    assert labels_of(display) == ["training", "validation"]


@pytest.mark.parametrize("metric", ["valid_loss", "losses", ""])
def test_a_metric_that_was_not_recorded_is_rejected(metric):
    allowed = r"\['accuracy', 'loss', 'train_accuracy', 'train_loss'\]"
    with pytest.raises(ValueError, match=rf"'metric' .* {allowed}\. Got '{metric}'"):
        TrainingHistoryDisplay.from_history(make_history(2, 1), metric=metric)
