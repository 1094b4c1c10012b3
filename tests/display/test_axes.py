import io
import warnings
import xml.etree.ElementTree as ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklenet.display import (
    FeatureMapDisplay,
    MisclassifiedDisplay,
    TrainingHistoryDisplay,
)

HISTORY = [{"epoch": k, "train_loss": 1 / k, "train_accuracy": 0.5} for k in (1, 2)]
NAMES = ["$x$", "$\\frac{$", "_hidden", "\x1b[31mred\x0b", "cost: $5", "back\\slash$", "ü"]


def to_svg(figure):
    """Return a figure as SVG, after checking that it is valid XML."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Older versions of matplotlib use names that newer ones of pyparsing deprecate.
        warnings.filterwarnings("ignore", r"'\w+' (argument is )?deprecated")
        figure.savefig(content, format="svg")
    ElementTree.fromstring(content.getvalue())
    return content.getvalue().decode()


@pytest.mark.parametrize("name", NAMES)
def test_names_in_a_legend_are_shown_literally(name):
    display = TrainingHistoryDisplay.from_histories({name: [HISTORY], "other": [HISTORY]})
    shown = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    expected = name.replace("\x1b", "\\x1b").replace("\x0b", "\\x0b")
    assert [text.replace(r"\$", "$") for text in shown] == [expected, "other"]
    assert f"<!-- {expected} -->" in to_svg(display.figure_)


@pytest.mark.parametrize("name", NAMES)
def test_class_names_in_titles_are_shown_literally(name):
    display = MisclassifiedDisplay([[[0.0, 1.0]]], [name], [name], [0.5]).plot()
    svg = to_svg(display.figure_)
    assert name.replace("\x1b", "\\x1b").replace("\x0b", "\\x0b") in svg


@pytest.mark.parametrize("name", NAMES)
def test_class_names_at_the_probabilities_are_shown_literally(name):
    maps = {"input": np.zeros((1, 2, 2)), "C5": np.zeros(3)}
    display = FeatureMapDisplay(maps, np.array([0.25, 0.75]), [name, "other"]).plot()
    svg = to_svg(display.figure_)
    assert name.replace("\x1b", "\\x1b").replace("\x0b", "\\x0b") in svg


def test_a_legend_keeps_the_lines_that_the_axes_already_have():
    _, ax = plt.subplots()
    ax.plot([1, 2], label="before")
    TrainingHistoryDisplay.from_history(HISTORY, name="_mine", ax=ax)
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["before", "_mine"]
