"""Scores against the number of training images."""

import pytest

from sklenet.study import read_study, run_study
from sklenet.study.report.figures import iter_figures
from sklenet.study.report.results import Results
from sklenet.study.report.train_size import draw_sizes, summarize_sizes

STUDY = """
name = "sizes"
title = "t"
data = ["digits"]
seeds = [0, 1]
n_train = [40, 80]

[estimator]
max_epochs = 1
batch_size = 32

[[setting]]
name = "a"

[[setting]]
name = "b"
estimator = { lr = 0.01 }

[[setting]]
name = "alone"
n_train = 60
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sizes")
    (folder / "sizes.toml").write_text(STUDY)
    return Results(run_study(read_study(folder / "sizes.toml"), folder))


def test_each_curve_has_the_mean_and_range_over_the_seeds(results):
    table = summarize_sizes(results, "digits")
    assert sorted(zip(table["curve"], table["n_train"], strict=True)) == [
        *(("a", 40), ("a", 80)),
        *(("b", 40), ("b", 80)),
    ]
    fits = results.fits
    for row in table.itertuples():
        scores = fits["test_accuracy"][
            fits["setting"] == f"{row.curve}, n_train {row.n_train}"
        ]
        assert len(scores) == 2
        assert row.mean == pytest.approx(scores.mean())
        assert (row.low, row.high) == (scores.min(), scores.max())


def test_the_report_has_the_figure(results):
    import matplotlib.pyplot as plt

    figures = {figure.name: figure for figure in iter_figures(results, "digits")}
    assert "range over the seeds" in figures["train_size_digits"].caption
    figure = figures["train_size_digits"].draw()
    (ax,) = figure.axes
    assert [line.get_label() for line in ax.lines] == ["a", "b"]
    assert ax.lines[0].get_xdata().tolist() == [40, 80]
    assert ax.get_xlabel() == "training images"
    plt.close(figure)
    plt.close(draw_sizes(summarize_sizes(results, "digits"), "accuracy"))


def test_a_study_without_settings_has_one_curve(tmp_path):
    text = STUDY.partition("[[setting]]")[0].replace("seeds = [0, 1]", "seeds = [0]")
    (tmp_path / "sizes.toml").write_text(text)
    results = Results(run_study(read_study(tmp_path / "sizes.toml"), tmp_path))
    assert summarize_sizes(results, "digits")["n_train"].tolist() == [40, 80]
    (first,) = (f.name for f in iter_figures(results, "digits") if "train_size" in f.name)
    assert first == "train_size_digits"
