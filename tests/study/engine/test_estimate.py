"""The groups of fits by which a dry run estimates the time of a study."""

import pytest

from sklenet.study import read_study
from sklenet.study.engine.estimate import count_planned_fits, group_fits

HEAD = 'name = "s"\ntitle = "t"\ndata = ["digits"]\nseeds = [0, 1]\nvalidation = 0.2\n'
WINNER = ("the winner", 2, 0.8, 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("setting 'estimator'", 2, 0.8, 5)]),
        (
            "[[setting]]\nname = 'a'\nseeds = [7]\nestimator = { max_epochs = 9 }\n",
            [("setting 'a'", 1, 0.8, 9)],
        ),
        (
            "[search]\ncv = 2\ngrid = { lr = [0.1, 0.2, 0.3] }\n",
            [("3 candidates x 2 folds", 6, 0.5, 5), WINNER],
        ),
        (
            "[search]\nkind = 'random'\nn_iter = 9\ncv = 2\ngrid = { lr = [0.1, 0.2] }\n",
            [("2 candidates x 2 folds", 4, 0.5, 5), WINNER],
        ),
        (
            "[search]\nkind = 'optuna'\nn_iter = 9\ncv = 2\ngrid = { lr = [0.1, 0.2] }\n",
            [("9 candidates x 2 folds", 18, 0.5, 5), WINNER],
        ),
        (
            "[search]\nkind = 'halving'\nresource = 'max_epochs'\nmin_resources = 1\n"
            "max_resources = 4\nfactor = 2\ncv = 2\ngrid = { lr = [0.1, 0.2, 0.3, 0.4] }\n",
            [
                ("a round of 4 candidates x 2 folds", 8, 0.5, 1),
                ("a round of 2 candidates x 2 folds", 4, 0.5, 2),
                ("a round of 1 candidates x 2 folds", 2, 0.5, 4),
                ("the winner", 2, 0.8, 4),
            ],
        ),
        (
            "[search]\nkind = 'settings'\ncv = 2\n"
            "[[setting]]\nname = 'a'\ngrid = { lr = [0.1, 0.2] }\n",
            [("2 settings x 2 folds", 4, 0.5, 5), WINNER],
        ),
    ],
)
def test_fits_are_grouped_by_what_they_take(tmp_path, text, expected):
    path = tmp_path / "s.toml"
    epochs = "" if "'max_epochs'" in text else "max_epochs = 5\n"
    path.write_text(f"{HEAD}[estimator]\n{epochs}{text}")
    study = read_study(path)
    assert [tuple(group) for group in group_fits(study, "digits")] == expected
    assert count_planned_fits(study) == sum(n_fits for _, n_fits, _, _ in expected)


def test_rounds_of_samples_are_fractions_of_the_training_set(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        f"{HEAD}[search]\nkind = 'halving'\nresource = 'n_samples'\nmin_resources = 100\n"
        "factor = 3\ncv = 2\ngrid = { lr = [0.1, 0.2, 0.3] }\n"
    )
    first, second, _ = group_fits(read_study(path), "digits")
    assert first.fraction == pytest.approx(0.5 * 100 / 1437)
    assert second.fraction == pytest.approx(0.5 * 300 / 1437)
