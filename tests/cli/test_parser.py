"""Unknown and misspelled options."""

import re

import pytest

from sklenet import LeNet5Classifier
from sklenet.cli import main
from sklenet.cli.model import _format_value
from sklenet.cli.parser import parse_value


def run_invalid(arguments, capsys):
    """Run a command that argparse rejects; return its error message."""
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    return stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--versoin"], "sklenet: error: unrecognized argument: --versoin. Did you mean"),
        (["--vers"], "Did you mean --version? Run `sklenet --help`"),
        (["data", "--jsn"], "--jsn. Did you mean --json?"),
        (["fit", "--dat", "digits", "--out", "m"], "--dat. Did you mean --data?"),
        (["fit", "--data", "digits", "--ouput=m"], "--ouput. Did you mean --out"),
        (["fit", "--data", "d", "--out", "m", "--max_epochs", "3"], "--max-epochs"),
        (["fit", "--lr-sch", "cosine"], "Did you mean --lr-schedule?"),
        (["fit", "--color"], "--color. Did you mean --colour?"),
        (["predict", "m", "i.png", "--frame", "line"], "Did you mean --framing?"),
        (["study", "s.toml", "--sett", "a"], "--sett. Did you mean --setting?"),
        (["study", "s.toml", "--jobs", "2"], "Did you mean --n-jobs?"),
        (["study", "s.toml", "--dry_run"], "Did you mean --dry-run?"),
        (["report", "r", "--quite"], "Did you mean --quiet?"),
    ],
)
def test_a_misspelled_option_is_rejected_with_a_suggestion(arguments, message, capsys):
    stderr = run_invalid(arguments, capsys)
    assert message in stderr


@pytest.mark.parametrize("command", ["data", "fit", "predict", "page", "study", "report"])
def test_no_option_can_be_abbreviated(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options = set(re.findall(r"--[a-z][a-z0-9-]*", capsys.readouterr().out))
    assert len(options) > 2
    for option in options:
        for length in range(3, len(option)):
            if option[:length] not in options:
                assert f"argument: {option[:length]}. " in run_invalid(
                    [command, option[:length], "x"], capsys
                )


def test_set_and_setting_are_different_options(tmp_path, capsys):
    path = tmp_path / "s.toml"
    path.write_text('name = "s"\ntitle = "t"\ndata = ["digits"]\n')
    assert main(["study", str(path), "--set", "seeds=[-1]"]) == 2
    assert "--set seeds=[-1]: seeds.0: " in capsys.readouterr().err
    assert main(["study", str(path), "--setting", "seeds=[-1]"]) == 2
    assert "--setting: this study has no [[setting]]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("data", []),
        ("fit", ["--data", "d", "--out", "m"]),
        ("predict", ["m", "i.png"]),
        ("page", ["m", "--out", "p.html"]),
        ("study", ["s.toml"]),
        ("report", ["r"]),
    ],
)
@pytest.mark.parametrize("option", ["--nonsense", "--nonsense=1", "-x"])
def test_an_unknown_option_is_rejected_without_a_suggestion(
    command, arguments, option, capsys
):
    stderr = run_invalid([command, *arguments, option], capsys)
    expected = f"sklenet {command}: error: unrecognized argument: {option.split('=')[0]}."
    assert stderr.startswith(f"{expected} Run `sklenet {command} --help`")


def test_a_value_may_look_like_an_option_after_an_equals_sign(tmp_path, capsys):
    assert main(["fit", "--data=--lr", f"--out={tmp_path / 'm'}"]) == 2
    assert "--data --lr: neither a dataset" in capsys.readouterr().err


def test_arguments_after_two_dashes_are_not_options(tmp_path, capsys):
    assert main(["predict", "--", str(tmp_path / "m"), "--image.png"]) == 2
    assert "no such file. `sklenet fit` writes one." in capsys.readouterr().err


def test_control_characters_of_an_option_are_escaped(capsys):
    assert "--\\x1b[2J. Run" in run_invalid(["data", "--\x1b[2J"], capsys)


def test_default_values_in_the_help_can_be_passed_to_the_options(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, default in LeNet5Classifier().get_params().items():
        value = parse_value(_format_value(default))
        assert (tuple(value) if isinstance(value, list) else value) == default
        if f"--{name.replace('_', '-')} VALUE" in text:
            assert f"(default: {_format_value(default)})" in text
