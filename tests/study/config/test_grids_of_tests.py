"""Tests of a study that differ in the value of one parameter."""

import pytest

from sklenet.study import Study, StudyError, read_study

HEAD = 'name = "s"\ntitle = "t"\ndata = ["digits"]\n'
SERIES = """
[[test]]
name = "rotation"
steps = [{ transformer = "Disturber" }]
grid = { disturber__rotation = [10, 20.5] }
"""
NEGATIVES = """
[[test]]
name = "negatives"
steps = [{ transformer = "Inverter", maximum = 16 }]
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "s.toml"
        path.write_text(HEAD + text)
        return read_study(path)

    return read


def test_a_grid_is_a_test_for_each_value(read):
    study = read(SERIES + NEGATIVES)
    assert study.test_names == ["test", "rotation 10", "rotation 20.5", "negatives"]
    assert study.single_test_names == ["test", "negatives"]
    assert [test.steps for test in study.additional_tests] == [
        ({"transformer": "Disturber", "rotation": 10},),
        ({"transformer": "Disturber", "rotation": 20.5},),
        ({"transformer": "Inverter", "maximum": 16},),
    ]
    (series,) = study.series
    assert series == (
        "rotation",
        "rotation",
        {"rotation 10": 10, "rotation 20.5": 20.5},
        True,
    )
    assert Study.from_record(study.to_record()) == study


def test_the_record_of_a_test_without_a_grid_does_not_change(read):
    record = read(NEGATIVES).to_record()
    steps = [{"transformer": "Inverter", "maximum": 16}]
    assert record["test"] == [{"name": "negatives", "steps": steps}]


@pytest.mark.parametrize(
    ("steps", "grid", "starts_unchanged"),
    [
        ('{ transformer = "Disturber" }', "disturber__noise = [1]", True),
        (
            '{ transformer = "Disturber", pixel_range = [0, 16] }',
            "disturber__noise = [1]",
            True,
        ),
        ('{ transformer = "Disturber" }', "disturber__noise = [0, 1]", False),
        ('{ transformer = "Disturber", shift = 1 }', "disturber__noise = [1]", False),
        ('{ transformer = "Inverter" }', "inverter__maximum = [16, 20]", False),
        (
            '{ transformer = "Inverter" }, { transformer = "Disturber" }',
            "disturber__noise = [1]",
            False,
        ),
    ],
)
def test_unchanged_images_are_the_start_of_a_series_only_if_0_leaves_them_so(
    steps, grid, starts_unchanged, read
):
    study = read(f'[[test]]\nname = "a"\nsteps = [{steps}]\ngrid = {{ {grid} }}\n')
    assert study.series[0].starts_unchanged is starts_unchanged


@pytest.mark.parametrize(
    ("grid", "key", "message"),
    [
        ("disturber__rotation = [10, 200]", "grid.disturber__rotation", "in the range"),
        ("disturber__rotation = ['far']", "grid.disturber__rotation", "must be a number"),
        ("disturber__rotation = [true]", "grid.disturber__rotation", "must be a number"),
        ("disturber__rotation = [inf]", "grid.disturber__rotation", "inf"),
        ("disturber__rotation = [1, 1.0]", "grid.disturber__rotation", "a number twice"),
        ("disturber__rotation = []", "grid.disturber__rotation", "must not be empty"),
        ("disturber__rotation = 10", "grid.disturber__rotation", "list"),
        ("disturber__rotate = [1]", "grid.disturber__rotate", "mean 'rotation'"),
        ("disturber__random_state = [1]", "grid.disturber__random_state", "'seeds'"),
        ("inverter__maximum = [1]", "grid.inverter__maximum", "no step 'inverter'"),
        ("rotation = [1]", "grid.rotation", "such as disturber__rotation. Got 'rotation'"),
        ("lr = [1]", "grid.lr", "a parameter of one of its steps"),
        (
            "disturber__rotation = [1], disturber__shift = [1]",
            "grid",
            r"must have one parameter. Got \['disturber__rotation', 'disturber__shift'\]",
        ),
    ],
)
def test_an_invalid_grid_is_rejected_with_its_line(grid, key, message, read):
    text = SERIES.replace("disturber__rotation = [10, 20.5]", grid)
    with pytest.raises(StudyError, match=rf"s\.toml:8: test\.0\.{key}: .*{message}"):
        read(text)


@pytest.mark.parametrize("name", ["rotation 20.5", "rotation"])
def test_names_are_unique_also_after_a_grid_is_expanded(name, read):
    with pytest.raises(StudyError, match=rf"must be unique.*Got '{name}'"):
        read(SERIES + NEGATIVES.replace("negatives", name))
    with pytest.raises(StudyError, match=rf"must be unique.*Got '{name}'"):
        read(NEGATIVES.replace("negatives", name) + SERIES)


def test_an_unknown_key_of_a_test_names_the_grid(read):
    with pytest.raises(
        StudyError, match=r"unknown key 'grids'.*'grid'.*Known: name, steps"
    ):
        read(SERIES.replace("grid =", "grids ="))
