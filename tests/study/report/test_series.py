"""Series of tests in tables and figures."""

import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.preprocessing import Disturber
from sklenet.study import read_study, run_study
from sklenet.study.report.figures import iter_figures
from sklenet.study.report.page import write_page
from sklenet.study.report.results import Results
from sklenet.study.report.series import draw_series, summarize_series
from sklenet.study.report.tables import (
    make_result_table,
    make_series_table,
    render_latex,
    render_tables,
    write_tables,
)

STUDY = """
name = "series"
title = "t"
data = ["digits"]
seeds = [0, 1]
metrics = ["accuracy", "balanced_accuracy"]

[estimator]
max_epochs = 1
batch_size = 64

[[setting]]
name = "a"

[[setting]]
name = "b"
estimator = { lr = 0.01 }

[[test]]
name = "rotation"
steps = [{ transformer = "Disturber" }]
grid = { disturber__rotation = [40, 20] }

[[test]]
name = "negatives"
steps = [{ transformer = "Inverter", maximum = 16 }]

[[test]]
name = "white"
steps = [{ transformer = "Inverter" }]
grid = { inverter__maximum = [16, 20] }
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    (folder / "series.toml").write_text(STUDY)
    return Results(run_study(read_study(folder / "series.toml"), folder))


def test_the_scores_are_those_on_disturbed_test_images(results):
    X, y = load_digits(subset="test", return_X_y=True)
    fitted = LeNet5Classifier(max_epochs=1, batch_size=64, random_state=1)
    fitted.fit(*load_digits(return_X_y=True))
    fits = results.fits.set_index(["setting", "seed"])
    for angle in (20, 40):
        score = fitted.score(Disturber(rotation=angle).fit_transform(X), y)
        assert fits.loc[("a", 1), f"rotation {angle}_accuracy"] == score


def test_each_curve_has_the_mean_and_range_over_the_seeds(results):
    table = summarize_series(results, "digits")
    values = table[table["setting"] == "b"].groupby("series")["value"].agg(list)
    assert values.to_dict() == {"rotation": [0, 20, 40], "white": [16, 20]}
    fits = results.fits
    for row in table.itertuples():
        test = f"{row.series} {row.value:g}" if row.value else "test"
        scores = fits[fits["setting"] == row.setting][f"{test}_accuracy"]
        assert len(scores) == 2
        assert row.mean == pytest.approx(scores.mean())
        assert (row.low, row.high) == (scores.min(), scores.max())


def test_the_report_has_the_figure(results):
    figures = {figure.name: figure for figure in iter_figures(results, "digits")}
    drawn = figures["robustness_digits"]
    assert drawn.title == "Robustness, digits"
    figure = drawn.draw()
    assert [ax.get_title() for ax in figure.axes] == ["rotation", "white"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["rotation", "maximum"]
    for ax, start in zip(figure.axes, (0, 16), strict=True):
        assert [line.get_label() for line in ax.lines] == ["a", "b"]
        assert ax.lines[0].get_xdata()[0] == start
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    plt.close(figure)
    table = summarize_series(results, "digits")
    figure = draw_series(table, "accuracy", {"rotation": "degrees"})
    assert [ax.get_xlabel() for ax in figure.axes] == ["degrees", "maximum"]
    plt.close(figure)


def test_a_series_has_a_table_of_its_own(results):
    rotation, white = results.study.series
    table = make_series_table(results, rotation, "accuracy")
    assert table.columns.tolist() == ["data", "setting", "unchanged", "40", "20"]
    names = ["a", "a, committee", "b", "b, committee"]
    assert table["setting"].tolist() == names
    found = results.summary.set_index(["setting", "score"])
    mean = found.loc[("b", "rotation 40_accuracy"), "mean"]
    assert table["40"][2].startswith(f"{mean:.4f} ± ")
    committee = results.committees.set_index("setting").loc["b", "rotation 40_accuracy"]
    assert table["40"][3] == f"{committee:.4f}"
    columns = make_series_table(results, white, "balanced_accuracy").columns
    assert columns.tolist() == ["data", "setting", "unchanged", "16", "20"]
    result_columns = make_result_table(results).columns
    assert [name for name in result_columns if name.endswith(" accuracy")] == [
        "test accuracy",
        "negatives accuracy",
    ]
    text = render_tables(results)
    headings = re.findall(r"^Test (\w+) in the series '(\w+)', by (\w+):$", text, re.M)
    assert headings == [
        ("accuracy", "rotation", "rotation"),
        ("balanced_accuracy", "rotation", "rotation"),
        ("accuracy", "white", "maximum"),
        ("balanced_accuracy", "white", "maximum"),
    ]
    latex = render_latex(results)
    assert "tab:series-series-4" in latex
    assert "t: test accuracy in the series 'rotation', by rotation, mean" in latex


def test_files_are_complete_and_the_page_has_no_column_per_value(results):
    write_tables(results)
    fits = pd.read_csv(results.folder / "fits.csv")
    summary = pd.read_csv(results.folder / "summary.csv")
    differences = pd.read_csv(results.folder / "differences.csv")
    committees = pd.read_csv(results.folder / "committees.csv")
    for test in ("rotation 40", "rotation 20", "white 16", "white 20"):
        score = f"{test}_accuracy"
        assert score in fits
        assert score in committees
        assert (summary["score"] == score).sum() == 2
        assert (differences["score"] == score).sum() == 1
    write_page(results)
    page = (results.folder / "report.html").read_text()
    assert "<h2>Test accuracy in the series &#39;rotation&#39;, by rotation</h2>" in page
    assert "<h2>Differences in negatives accuracy</h2>" in page
    assert "rotation 40" not in page.replace("&#34;rotation 40&#34;", "")
    assert "The scores in series of tests are in fits.csv." in page


def test_a_study_without_fits_has_no_series(tmp_path):
    text = STUDY.replace('name = "b"\n', 'name = "b"\nseeds = [3]\n')
    (tmp_path / "series.toml").write_text(text)
    study = read_study(tmp_path / "series.toml")
    results = Results(run_study(study, tmp_path))
    results.__dict__["fit_records"] = []
    assert summarize_series(results, "digits").empty
    assert make_series_table(results, study.series[0], "accuracy").empty
    assert "series" not in render_tables(results)
