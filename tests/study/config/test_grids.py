"""The factors that a grid may have, and the labels of their values."""

import pytest

from sklenet.study import StudyError, read_study
from sklenet.study.config.pipelines import make_candidate
from sklenet.study.config.steps import change_steps
from sklenet.study.config.values import format_label

HEAD = """
name = "s"
title = "t"
data = ["digits"]
steps = [{ transformer = "Inverter", maximum = 16 }, { transformer = "PixelScaler" }]
"""
SEARCH = "[search.grid]\nlr = [0.001]\n"
SETTING = "[[setting]]\nname = 'a'\n[setting.grid]\nlr = [0.001]\n"
TABLES = (
    {"transformer": "Inverter", "maximum": 16},
    {"transformer": "PixelScaler", "to": "unit"},
)


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "s.toml"
        path.write_text(HEAD + text)
        return read_study(path)

    return read


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (None, "None"),
        (True, "True"),
        (0.1, "0.1"),
        ("relu", "relu"),
        ([], "[]"),
        (["flip"], "[flip]"),
        (("flip", {"shift": 2}), "[flip, {shift: 2}]"),
        ([[1, 2], [3]], "[[1, 2], [3]]"),
        ({"0": 2.0, "cat": 0.5}, "{0: 2.0, cat: 0.5}"),
        ({"transformer": "Inverter"}, "Inverter()"),
        (
            {"transformer": "sklearn.decomposition.PCA", "n_components": 9, "whiten": True},
            "PCA(n_components=9, whiten=True)",
        ),
    ],
)
def test_a_label_is_short_and_without_quotes(value, label):
    assert format_label(value) == label


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, TABLES),
        ({"inverter": "Inverter"}, TABLES),
        ({"inverter": "passthrough"}, TABLES[1:]),
        ({"inverter": "passthrough", "pixelscaler": "passthrough"}, ()),
        ({"inverter__maximum": 255}, ({**TABLES[0], "maximum": 255}, TABLES[1])),
        (
            {"pixelscaler": {"transformer": "Padder", "size": 20}},
            (TABLES[0], {"transformer": "Padder", "size": 20}),
        ),
    ],
)
def test_steps_are_changed_in_their_place(changes, expected):
    assert change_steps(TABLES, changes) == expected
    assert TABLES[0] == {"transformer": "Inverter", "maximum": 16}


@pytest.mark.parametrize("changes", [{"pca": "passthrough"}, {"inverter": "Padder"}])
def test_a_change_that_steps_do_not_have_is_an_error(changes):
    with pytest.raises(ValueError, match="step"):
        change_steps(TABLES, changes)


@pytest.mark.parametrize("kind", [SEARCH, SETTING])
@pytest.mark.parametrize(
    ("factor", "key", "message"),
    [
        ("invertor = ['passthrough']", "invertor", "Did you mean 'inverter'?"),
        (
            "padder__size = [9]",
            "padder__size",
            "no step 'padder'. Its steps are: inv",
        ),
        (
            "inverter = ['off', 'Inverter']",
            "inverter",
            "must be 'passthrough', which switches it off, 'Inverter', the step as in"
            " 'steps', or the table of a step that replaces it. Got 'off'.",
        ),
        ("inverter = [['Inverter']]", "inverter", "Got ['Inverter']."),
        ("inverter = [{ maximum = 9 }]", "inverter", "has no 'transformer'"),
        ("inverter = [{ transformer = 'Pad' }]", "inverter", "no transformer 'Pad'"),
        (
            "inverter = [{ transformer = 'Inverter', maximum = 'x' }]",
            "inverter",
            "The 'maximum' parameter of Inverter",
        ),
        ("inverter__max = [1]", "inverter__max", "Inverter has no parameter 'max'."),
        ("inverter__maximum = ['x']", "inverter__maximum", "'maximum' parameter of"),
        (
            "inverter = ['passthrough']\ninverter__maximum = [1, 2]",
            "inverter",
            "its parameter 'inverter__maximum' exclude each other",
        ),
        (
            "inverter = [{ transformer = 'PixelScaler' }, 'Inverter']",
            None,
            "PixelScaler must not occur more than once",
        ),
        ("class_weight = ['balance']", "class_weight", "class_weight"),
        ("augment = [['flip'], ['flop']]", "augment", "flop"),
        ("views = ['none', ['flop']]", "views", "Did you mean 'flip'"),
        ("views = [{ shift = 0.5 }]", "views", "a whole number from 1 to 16"),
    ],
)
def test_an_error_names_the_factor_and_what_is_right(read, kind, factor, key, message):
    with pytest.raises(StudyError) as error:
        read(kind + factor)
    assert message in str(error.value)
    place = "search.grid" if kind == SEARCH else "setting.0.grid"
    assert f": {place}{f'.{key}' if key else ''}: " in str(error.value)


@pytest.mark.parametrize("kind", ["random", "optuna"])
def test_a_step_has_no_distribution(read, kind):
    with pytest.raises(StudyError, match=r"search\.grid\.inverter: .*'passthrough', which"):
        read(
            f"[search]\nkind = '{kind}'\nn_iter = 2\n"
            "grid = { inverter = { uniform = [0, 1] } }\n"
        )


def test_a_candidate_has_the_values_of_all_factors(read):
    study = read(SEARCH)
    params = {"inverter": "passthrough", "pixelscaler__to": "signed", "lr": 0.5}
    pipeline = make_candidate(study, params)
    assert [name for name, _ in pipeline.steps] == ["pixelscaler", "classifier"]
    assert (pipeline[0].to, pipeline[-1].lr) == ("signed", 0.5)


def test_images_are_checked_where_every_step_is_switched_off(read):
    off = "steps = [{ transformer = 'Resizer', size = 32, image_shape = [8, 8] }]\n"
    text = "[estimator]\nkernel_size = 11\n[[setting]]\nname = 'a'\n" + off
    read(text)
    with pytest.raises(StudyError, match="'kernel_size' parameter is 11"):
        read(text + "[setting.grid]\nresizer = ['Resizer', 'passthrough']\n")
