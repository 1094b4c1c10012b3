import io
import warnings
import xml.etree.ElementTree as ElementTree

import matplotlib.pyplot as plt
import pytest

from sklenet.display import MisclassifiedDisplay, TrainingHistoryDisplay

HISTORY = [{"epoch": k, "train_loss": 1 / k, "train_accuracy": 0.5} for k in (1, 2)]
NAMES = ["$x$", "$\\frac{$", "_hidden", "\x1b[31mred\x0b", "cost: $5", "back\\slash$", "ü"]


def texts_of(figure):
    """Draw a figure as SVG; return the comments, which hold the texts."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Older versions of matplotlib use names that newer ones of pyparsing deprecate.
        warnings.filterwarnings("ignore", r"'\w+' (argument is )?deprecated")
        figure.savefig(content, format="svg")
    plt.close(figure)
    ElementTree.fromstring(content.getvalue())  # it is XML
    return content.getvalue().decode()


@pytest.mark.parametrize("name", NAMES)
def test_names_in_a_legend_are_shown_as_they_are(name):
    display = TrainingHistoryDisplay.from_histories({name: [HISTORY], "other": [HISTORY]})
    shown = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    wanted = name.replace("\x1b", "\\x1b").replace("\x0b", "\\x0b")
    assert [text.replace(r"\$", "$") for text in shown] == [wanted, "other"]
    assert f"<!-- {wanted} -->" in texts_of(display.figure_)


@pytest.mark.parametrize("name", NAMES)
def test_class_names_in_titles_are_shown_as_they_are(name):
    display = MisclassifiedDisplay([[[0.0, 1.0]]], [name], [name], [0.5]).plot()
    svg = texts_of(display.figure_)
    assert name.replace("\x1b", "\\x1b").replace("\x0b", "\\x0b") in svg


def test_a_legend_keeps_what_the_axes_had():
    _, ax = plt.subplots()
    ax.plot([1, 2], label="before")
    display = TrainingHistoryDisplay.from_history(HISTORY, name="_mine", ax=ax)
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["before", "_mine"]
    plt.close(display.figure_)
