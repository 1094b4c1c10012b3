import numpy as np

from sklenet.display import TrainingHistoryDisplay


def test_from_estimator_plots_the_loss_curve(fitted):
    display = TrainingHistoryDisplay.from_estimator(fitted)
    (line,) = display.lines_
    assert np.allclose(line.get_ydata(), fitted.loss_curve_)
    assert display.ax_.figure is display.figure_
    assert display.ax_.get_ylabel() == "train loss"


def test_mean_over_fits_with_different_numbers_of_epochs():
    histories = {"a": [[{"train_loss": 1.0}, {"train_loss": 0.5}], [{"train_loss": 3.0}]]}
    display = TrainingHistoryDisplay.from_histories(histories)
    assert display.lines_[0].get_ydata().tolist() == [2.0, 0.5]
    assert display.lines_[0].get_label() == "a (n = 2)"
