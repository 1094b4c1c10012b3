import shutil
import subprocess

import pandas as pd
import pytest

from sklenet.study.report.latex import LatexTable, escape_latex, to_latex

NAMES = ["a_b & 50% #1 {x} $y$", r"back\slash", '~^<>|"', "\x1b[31m", "é ü", "a-b, lr 0.1"]


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b & 50% #1 {x} $y$", r"a\_b \& 50\% \#1 \{x\} \$y\$"),
        (r"back\slash", r"back\textbackslash{}slash"),
        ("0.98 ± 0.01", r"0.98 $\pm$ 0.01"),
        ("-0.5 to +0.5", "$-$0.5 to $+$0.5"),
        ("cifar-10 and 1e-5", "cifar-10 and 1e-5"),
        ("p < 0.1", r"p \textless{} 0.1"),
    ],
)
def test_names_and_numbers_are_shown_literally(text, latex):
    assert escape_latex(text) == latex


def test_control_characters_are_escaped():
    assert escape_latex("\x1b\n") == r"\textbackslash{}x1b\textbackslash{}n"


def test_a_table_has_the_rules_of_booktabs_and_numbers_to_the_right():
    frame = pd.DataFrame(
        {
            "setting": ["a_b", "c"],
            "test accuracy": ["0.9800 ± 0.0010", "0.9"],
            "n": ["5", ""],
        }
    )
    text = to_latex([LatexTable("Title & more", "tab:x", frame)])
    assert text.startswith("% Made from the records")
    body = text.split("\n", 2)[2].splitlines()
    assert body == [
        r"\begin{table*}[tbp]",
        r"\centering",
        r"\caption{Title \& more}",
        r"\label{tab:x}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"setting & test accuracy & n \\",
        r"\midrule",
        r"a\_b & 0.9800 $\pm$ 0.0010 & 5 \\",
        r"c & 0.9 &  \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_accepts_every_name(tmp_path):
    table = to_latex([LatexTable("Names", "tab:names", pd.DataFrame({"name": NAMES}))])
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(head + table + "\\end{document}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
