import csv
import io

import numpy as np
import pandas as pd
import pytest

from sklenet.study.report.text import (
    escape_html,
    escape_markdown,
    to_csv,
    to_markdown_table,
)


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"),
        *("=cmd|' /C calc'!A0", "\uff1d1", "\uff0b1"),
    ],
)
def test_csv_has_no_formulas(text):
    ((header,), (cell,)) = csv.reader(io.StringIO(to_csv(pd.DataFrame({text: [text]}))))
    for one in (header, cell):
        assert one.lstrip()[0] not in "=+-@\t\r\uff1d\uff0b"
        assert "\t" not in one
        assert "\r" not in one


def test_csv_keeps_numbers_and_other_text():
    frame = pd.DataFrame(
        {"a": [-1.5, np.nan], "b": [-3, 3], "c": ["x-y", "a, 'b'"], "d": [-0.25, None]}
    )
    frame["d"] = frame["d"].astype(object)
    frame["e"] = [["-1"], (1, 2)]
    assert to_csv(frame) == frame.to_csv(index=False)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("max_epochs 1, lr 0.1", "max_epochs 1, lr 0.1"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("<!-- x", "&lt;!-- x"),
        ("&lt;b&gt; &#60; a & b", "&amp;lt;b&amp;gt; &amp;#60; a & b"),
        ("`code`", "\\`code\\`"),
        ("[a](javascript:b) ![c](d)", "[a]\\(javascript:b) ![c]\\(d)"),
        ("['shift']", "['shift']"),
        ("two\nlines\x1b[0m", "two\\nlines\\x1b[0m"),
    ],
)
def test_markdown_shows_names_literally(text, wanted):
    assert escape_markdown(text) == wanted


def test_notes_remain_markdown_without_html():
    assert escape_html("*a*\n\n- `b` <i>\x1b") == "*a*\n\n- `b` &lt;i>\\x1b"


def test_cells_with_bars_remain_in_their_columns():
    table = to_markdown_table(pd.DataFrame({"a|b": ["x|y", "<b>"]}))
    rows = table.splitlines()
    assert [row.replace("\\|", "").count("|") for row in rows] == [2, 2, 2, 2]
    assert "&lt;b>" in rows[3]
