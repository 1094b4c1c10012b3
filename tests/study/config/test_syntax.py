"""Files that are not TOML: what is wrong in which line, and what TOML requires."""

import codecs
import tomllib
from pathlib import Path

import pytest

from sklenet.study import StudyError, read_study
from sklenet.study.config.syntax import parse_toml

GOOD = 'name = "s"\ntitle = "Größe"\ndata = ["digits"]\n[estimator]\nlr = 0.1\n'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.toml"


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding_of_unicode_is_read(path, encoding, mark, end):
    path.write_bytes(mark + GOOD.replace("\n", end).encode(encoding))
    assert read_study(path).title == "Größe"
    bad = GOOD.replace("0.1", "-1.0").replace("\n", end)
    path.write_bytes(mark + bad.encode(encoding))
    with pytest.raises(StudyError, match=r"s\.toml:5: estimator\.lr: The 'lr' parameter"):
        read_study(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD.encode("latin-1"), "byte 0xf6 in line 2 is not utf-8 text. Save the file"),
        (codecs.BOM_UTF16_LE + b"n\0a", "byte 5 is not utf-16 text"),
        (b"\x89PNG\r\n\x1a\n", "byte 0x89 in line 1 is not utf-8 text"),
    ],
)
def test_a_file_in_no_encoding_of_unicode_is_an_error(path, content, message):
    path.write_bytes(content)
    with pytest.raises(StudyError) as error:
        read_study(path)
    assert f"{path}: not a TOML file: {message}" in str(error.value)


@pytest.mark.parametrize(
    ("value", "meant", "message"),
    [
        (
            "None",
            "none",
            'TOML has no None. For None as the value of a parameter, write "n',
        ),
        ("null", "none", "TOML has no null."),
        ("True", True, "True is not a value in TOML. Write true."),
        ("FALSE", False, "Write false."),
        ("(120, 84)", [120, 84], "TOML has no tuples. Write a list: [120, 84]."),
        ("(84,)", [84], "Write a list: [84,]."),
        ("((1, 2), (3,))", [[1, 2], [3]], "TOML has no tuples."),
        ("(-0.1,\n 1.175)", [-0.1, 1.175], "Write a list: [-0.1, 1.175]."),
        ('("a)", 1)', ["a)", 1], "TOML has no tuples."),
        (".01", 0.01, ".01 is not a number in TOML. Write 0.01."),
        ("-.5e-3", -0.0005, "Write -0.5e-3."),
        ("1.", 1.0, "1. is not a number in TOML. Write 1.0."),
        ("2.e3", 2000.0, "Write 2.0e3."),
        ("[1, 2.]", [1, 2.0], "Write 2.0."),
        ("[.1, .2]", [0.1, 0.2], ".1 is not a number in TOML. Write 0.1."),
        ("007", 7, "007 is not a number in TOML. Write 7."),
        ("relu", "relu", 'Text requires quotes: "relu".'),
        ("my study # a", "my study", 'Text requires quotes: "my study".'),
        ("[relu, tanh]", ["relu", "tanh"], 'Text requires quotes: "relu".'),
        ("\u201crelu\u201d", "relu", 'Text requires quotes: "relu".'),
        ("np.pi", "np.pi", "np.pi is not a value in TOML."),
        ('{"0": 2.0}', {"0": 2.0}, "TOML sets a key with '=', not with ':'."),
        ("0,5", "0,5", "0,5 is not a value in TOML, which has no arithmetic and no dec"),
        ("1/255", "1/255", "1/255 is not a value in TOML"),
        ("3 * 4", "3 * 4", "3 * 4 is not a value in TOML"),
    ],
)
def test_values_of_python_are_explained_and_the_rest_is_read(value, meant, message):
    text = f"a = 1\nb = {value}\nc = 2\n"
    table, problems, mended = parse_toml(text)
    assert table == {"a": 1, "b": meant, "c": 2}
    assert tomllib.loads(mended) == table
    assert mended.count("\n") == text.count("\n")
    assert problems[0].line == 2
    assert problems[0].message.startswith(message) or message in problems[0].message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a = 1\na = 2\n", 2, "this key is set a second time. Remove one of the two."),
        ('a = "b\n', 1, "text must be closed by a quote in the same line."),
        ("a = 1\nb\n", 2, "there is no '=' after the key."),
        ("a = [1,\n", 1, "a list, a table or text is not closed at the end of the file."),
        ('{"name": "s"}\n', 1, "this looks like JSON."),
        ("a = 1\n[b\n", 2, "Expected ']' at the end of a table declaration."),
    ],
)
def test_other_errors_end_the_reading(text, line, message):
    table, problems, _ = parse_toml(text)
    assert table is None
    (problem,) = problems
    assert problem.message.startswith(message)
    assert problem.line == line


def test_all_errors_of_a_file_are_reported_with_their_lines(path):
    path.write_text(
        """name = "s"
data = ["mnsit"]
metrics = ["acuracy", "f1"]
titel = "t"
steps = [{ transformer = "Invertor" }]

[estimator]
max_epochs = None
activation = "rleu"
early_stoping = true
hidden = (120, 84)
augment = ["flop"]

[search]
cv = 1

[search.grid]
poling = ["max"]
init = ["he_unifrom"]
lr = [.1, -1.0]

[[published]]
data = "digits"
sorce = "s"
"""
    )
    with pytest.raises(StudyError) as error:
        read_study(path)
    lines = [line.partition("s.toml:")[2] for line in str(error.value).splitlines()]
    found = {line.partition(": ")[0].strip(): line for line in lines}
    expected = {
        "title": " title: this key is required.",
        "2": "Did you mean 'mnist'?",
        "3": "Did you mean 'accuracy'?",
        "4": "Did you mean 'title'?",
        "5": "Did you mean 'Inverter'?",
        "8": "estimator.max_epochs: TOML has no None.",
        "9": "Did you mean 'relu'?",
        "10": "Did you mean 'early_stopping'?",
        "11": "estimator.hidden: TOML has no tuples. Write a list: [120, 84].",
        "12": "Did you mean 'flip'?",
        "15": "search.cv: Input should be greater than or equal to 2. Got 1.",
        "18": "Did you mean 'pooling'?",
        "19": "Did you mean 'he_uniform'?",
        "20": "search.grid.lr: .1 is not a number in TOML. Write 0.1.",
        "24": "Did you mean 'source'?",
    }
    for line, message in expected.items():
        assert message in found.pop(line)
    assert found.keys() == {"22"}  # the table without its source


def test_there_are_no_errors_about_values_that_are_not_in_the_file(path):
    path.write_text(GOOD.replace("0.1", "relu") + "momentum = True\n")
    with pytest.raises(StudyError) as error:
        read_study(path)
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "estimator.lr",
        "estimator.momentum",
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('init = "None"', 'Write "none" in a study file.'),
        ('early_stopping = "True"', "Write true in a study file."),
        ('optimizer = "addam"', "Did you mean 'adam'?"),
        ('lr_schedule = "Cosine"', "Did you mean 'cosine'?"),
        ("net_params = { optimizer__beta = 1 }", "Did you mean 'optimizer__betas'?"),
    ],
)
def test_a_value_that_is_nearly_right_is_named(path, value, message):
    path.write_text(f"{GOOD}{value}\n")
    with pytest.raises(StudyError) as error:
        read_study(path)
    (line,) = str(error.value).splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('validation = "tset"', ["Did you mean 'test'?"]),
        (
            "validation = true",
            ["validation: Input should be a valid number, or: Inp"],
        ),
        ("seeds = 5", ["seeds: Input should be a valid list. Got 5."]),
        ('search = "grid"', ["search: Input should be a valid table. Got 'grid'."]),
        ("published = [1]", ["published.0: Input should be a valid table. Got 1."]),
        ("test = { name = 'a' }", ["test: Input should be a valid list."]),
        ("setting = [{ name = 'a', grid = { lr = 0.1 } }]", ["setting.0.grid.lr: "]),
        ("setting = [{ name = 'a', data = 'digits' }]", ["setting.0.data: Input should"]),
    ],
)
def test_one_error_is_one_line(path, text, expected):
    path.write_text(GOOD.replace("[estimator]", f"{text}\n[estimator]"))
    with pytest.raises(StudyError) as error:
        read_study(path)
    lines = str(error.value).splitlines()
    assert len(lines) == len(expected)
    for line, message in zip(lines, expected, strict=True):
        assert line.startswith(f"{path}:4: ")
        assert message in line


def test_errors_of_several_settings_and_publications_are_reported(path):
    path.write_text(
        f"{GOOD}[[setting]]\nname = 'a'\nestimator = {{ kernel_size = 20 }}\n"
        "[[setting]]\nname = 'b'\nlike = 'c'\nestimator = { image_shape = [9, 9] }\n"
        "[[setting]]\nname = 'd'\ngrid = { inverter = ['passthrough'] }\n"
    )
    with pytest.raises(StudyError) as error:
        read_study(path)
    lines = [
        line.partition("s.toml:")[2].split(": ")[0]
        for line in str(error.value).splitlines()
    ]
    assert lines == ["11", "15"]  # what depends on images waits for valid settings
    text = (
        Path(path)
        .read_text()
        .replace("like = 'c'\n", "")
        .partition("[[setting]]\nname = 'd'")
    )
    path.write_text(text[0] + "[[published]]\ndata = 'mnist'\nsource = 's'\n")
    with pytest.raises(StudyError) as error:
        read_study(path)
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert "setting.0.estimator" in lines[0]
    assert "setting.1.estimator" in lines[1]
    assert "published.0.data" in lines[2]
