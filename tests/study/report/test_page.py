import json

import pytest
from browser import Browser

from sklenet.study.config.read import read_study
from sklenet.study.engine.run import run_study
from sklenet.study.report.page import PAGE, write_page
from sklenet.study.report.results import Results

STUDY = """
name = "shown"
title = "A page <of> & results"
data = ["digits"]
seeds = [0, 1]
notes = "What to make of it: nothing."

[estimator]
max_epochs = 1
batch_size = 128

[search]
cv = 2
grid = { activation = ["relu", "tanh"], pooling = ["max", "avg"], lr = [0.001, 0.003] }

[[published]]
data = "digits"
source = "somebody"
figures = { test_accuracy = 0.75 }
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page")
    (path / "shown.toml").write_text(STUDY)
    folder = run_study(
        read_study(path / "shown.toml"), path, command="sklenet study shown.toml"
    )
    write_page(Results(folder))
    return folder / PAGE


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def rows(browser, table, column):
    return browser.evaluate(
        f"[...document.querySelectorAll('#{table} tbody tr')].filter(row => !row.hidden)"
        f".map(row => row.cells[{column}].textContent)"
    )


def click(browser, table, column):
    browser.evaluate(f"document.querySelectorAll('#{table} th button')[{column}].click()")


def columns(browser, table):
    return browser.evaluate(
        f"[...document.querySelectorAll('#{table} th')].map(cell => cell.textContent)"
    )


def candidates(browser):
    """Return the id of the table of candidates."""
    region = "document.querySelector('[aria-label=\"Candidates, digits\"]')"
    return browser.evaluate(f"{region}.querySelector('table').id")


def test_page_is_self_contained(page):
    text = page.read_text()
    assert page.stat().st_size < 2_000_000
    for part in ("http://", "https://", '<link rel="stylesheet', ' src="/', "@import"):
        assert part not in text
    assert "A page &lt;of&gt; &amp; results" in text
    for what in ("sklenet study shown.toml", "scikit-learn", "max_epochs", "somebody"):
        assert what in text
    assert json.dumps(0.75) in text


def test_same_records_give_the_same_page(page):
    first = page.read_bytes()
    write_page(Results(page.parent))
    assert page.read_bytes() == first


def test_click_on_a_column_heading_sorts_the_rows(page, browser):
    browser.open(page)
    table = candidates(browser)
    names = columns(browser, table)
    mean, activation = names.index("mean"), names.index("activation")
    click(browser, table, mean)
    numbers = [float(text) for text in rows(browser, table, mean)]
    assert numbers == sorted(numbers)
    assert len(numbers) == 8
    click(browser, table, mean)
    assert [float(text) for text in rows(browser, table, mean)] == numbers[::-1]
    click(browser, table, activation)
    assert rows(browser, table, activation) == ["relu"] * 4 + ["tanh"] * 4
    state = "document.querySelectorAll('th[aria-sort]').length"
    assert browser.evaluate(state) == 1


def test_rows_are_filtered_by_words(page, browser):
    browser.open(page)
    table = candidates(browser)
    names = columns(browser, table)
    browser.evaluate(
        f"(() => {{ const i = document.querySelector('input[data-filters={table}]');"
        " i.value = 'relu max'; i.dispatchEvent(new Event('input')); })()"
    )
    assert rows(browser, table, names.index("activation")) == ["relu"] * 2
    assert rows(browser, table, names.index("pooling")) == ["max"] * 2
    counted = f"document.querySelector('[data-counts={table}]').textContent"
    assert browser.evaluate(counted) == "2 of 8 rows"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_overflows_and_text_has_contrast(page, browser, width, dark):
    browser.open(page, width=width, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    # Tables scroll within their region; nothing else is wider than the window.
    wide = (
        "[...document.querySelectorAll('body > *, figure *, p, pre')]"
        f".filter(e => e.getBoundingClientRect().right > {width} + 1).map(e => e.outerHTML)"
    )
    assert browser.evaluate(wide) == []
    colours = [
        browser.evaluate(f"getComputedStyle(document.body).{name}")
        for name in ("color", "backgroundColor")
    ]
    brightness = [
        sum(int(number) for number in colour[4:-1].split(",")) / 3 for colour in colours
    ]
    assert (brightness[0] > brightness[1]) is dark
    assert abs(brightness[0] - brightness[1]) > 150
    loaded = "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
    assert browser.evaluate(loaded)
    assert browser.evaluate("document.images.length") >= 4


def test_page_logs_no_message_and_requests_nothing(page, browser):
    browser.messages.clear()
    browser.requests.clear()
    browser.open(page)
    assert browser.messages == []
    asked = [url for url in browser.requests if not url.startswith("data:")]
    assert asked == [page.as_uri()]


def test_headings_and_columns_use_the_terms_of_the_field(page, browser):
    browser.open(page)
    headings = browser.evaluate(
        "[...document.querySelectorAll('h2')].map(heading => heading.textContent)"
    )
    assert headings == [
        "Results",
        "Training",
        "Committees",
        "Published results",
        "Figures",
        "Candidates, digits",
        "Main effects, digits",
        "Share of the variance of the CV scores, digits",
        "Metrics per class, digits",
        "Fits",
        "Provenance",
    ]
    titles = browser.evaluate(
        "[...document.querySelectorAll('h3')].map(heading => heading.textContent)"
    )
    assert titles == [
        "Learning curves, digits",
        "Main effects, digits",
        "Share of the variance of the CV scores, digits",
        "Mean score by two parameters, digits",
        "Confusion matrix, digits",
        "Misclassified test images, digits",
    ]
    assert columns(browser, "table-1") == [
        "data",
        "setting",
        "score",
        "mean",
        "standard deviation",
        "n",
        "95% CI: lower limit",
        "95% CI: upper limit",
        "failed fits",
    ]
