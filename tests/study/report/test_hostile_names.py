"""Names that Markdown, HTML, CSV, SVG or matplotlib would interpret are shown literally."""

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from sklenet._utils.writing import TEMPORARY_SUFFIX
from sklenet.cli import main
from sklenet.study import read_study
from sklenet.study.engine.plan import plan_jobs
from sklenet.study.engine.records import RECORDS

NAMES = [
    "$\\frac{$",
    "_hidden",
    "=HYPERLINK(1)",
    "<img src=x onerror=alert(1)>",
    "a|b `c` [d](e)",
    "\x1b[31mred\x0b\r\n",
    "\u202eright",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Folder of a study with artificial records, with one setting for each name."""
    folder = tmp_path_factory.mktemp("hostile")
    settings = "".join(f"[[setting]]\nname = {json.dumps(name)}\n" for name in NAMES)
    path = folder / "s.toml"
    path.write_text(
        'name = "s"\ntitle = "</title><script>"\ndata = ["digits"]\nseeds = [0, 1]\n'
        'notes = "<script>alert(1)</script>"\n'
        f"{settings}"
        "[[test]]\nname = '+1'\nsteps = [{ transformer = 'Inverter' }]\n"
    )
    study = read_study(path)
    records = [{"kind": "study", "study": study.to_record()}]
    command = {"command": "sklenet study '\udcff<b>'"}
    records.append({"kind": "run", "run": 1} | command)
    history = [{"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.5}]
    for number, setting in enumerate(study.settings):
        for seed in (0, 1):
            test = {"accuracy": 0.5, "mistakes": [[3, 1, 0.9]]}
            test["confusion"] = [[36 * (i == j) for j in range(10)] for i in range(10)]
            record = {"kind": "fit", "key": f"{number}-{seed}", "data": "digits"}
            record |= {"setting": setting.name, "seed": seed, "params": {"lr": -0.5}}
            records.append(
                record | {"tests": {"test": test, "+1": test}, "history": history}
            )
    # Settings without parameters are the same fit, recorded under one key.
    for job in plan_jobs(study, "digits"):
        records.append(records[2] | {"key": job.make_key(study), "seed": job.seed})
    records[-1]["error"] = "ValueError: <b>\x1b[0m\nsecond line"
    lines = dict.fromkeys(json.dumps(record) + "\n" for record in records)
    (folder / RECORDS).write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def written(report):
    assert main(["report", str(report), "--quiet"]) == 1  # one fit has an error
    return report


def test_all_files_are_written_and_printable(written):
    names = {path.name for path in written.iterdir()}
    assert names >= {"table.md", "fits.csv", "summary.csv", "report.html"}
    assert names >= {"learning_curves_digits.svg", "confusion_digits.png"}
    assert not [name for name in names if name.endswith(TEMPORARY_SUFFIX)]
    for name in ("table.md", "fits.csv", "summary.csv", "report.html"):
        text = (written / name).read_text(encoding="utf-8")
        assert not set("\x1b\x0b\r\u202e") & set(text)
        assert "\\x1b[31mred" in text


def test_markdown_has_no_html_and_equal_numbers_of_columns(written):
    text = (written / "table.md").read_text(encoding="utf-8")
    assert "<" not in text
    assert "[d](" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows[: 2 + len(NAMES)]}
    assert len(widths) == 1
    assert "Failed: digits, " in text
    assert "second line" in text


def test_csv_has_no_formulas_and_unchanged_numbers(written):
    for name in ("fits.csv", "summary.csv"):
        with (written / name).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        for cell in [*header, *(cell for row in rows for cell in row)]:
            assert not cell.startswith(("=", "+", "@"))
            assert not cell.startswith("-") or float(cell) < 0
    with (written / "fits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["lr"] for row in rows} == {"-0.5"}
    assert {row["setting"] for row in rows} >= {"'=HYPERLINK(1)", "_hidden", "$\\frac{$"}


class Tags(HTMLParser):
    """Collect the elements of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_names_add_no_elements_to_the_page(written):
    tags = Tags()
    tags.feed((written / "report.html").read_text(encoding="utf-8"))
    assert sum(tag == "script" for tag, _ in tags.found) == 1
    assert not [tag for tag, attributes in tags.found if "onerror" in attributes]
    assert not [tag for tag, _ in tags.found if tag == "b"]


def test_figures_show_all_names(written):
    text = (written / "learning_curves_digits.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    shown = re.findall("<!-- (.*?) -->", text)
    for name in ("$\\frac{$", "_hidden", "=HYPERLINK(1)", "a|b `c` [d](e)"):
        assert any(one.startswith(name) for one in shown), name


def test_other_files_are_written_if_one_fails(written, monkeypatch, capsys):
    def fail(*args):
        raise ZeroDivisionError("no\x1b reason")

    page = (written / "report.html").read_bytes()
    monkeypatch.setattr("sklenet.study.report.figures._draw_curves", fail)
    monkeypatch.setattr("sklenet.study.report.tables.render_tables", fail)
    assert main(["report", str(written)]) == 1
    told = capsys.readouterr().err
    lines = ["table.md", "learning_curves_digits"]
    assert told.splitlines() == [
        f"sklenet: not written: {name}: ZeroDivisionError: no\\x1b reason" for name in lines
    ]
    assert b"confusion" in (written / "report.html").read_bytes()
    assert (written / "report.html").read_bytes() != page
    monkeypatch.undo()
    assert main(["report", str(written), "--quiet"]) == 1
    assert (written / "report.html").read_bytes() == page
