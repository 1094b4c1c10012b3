import pytest

from sklenet.study import StudyError, read_study
from sklenet.study.config.spec import Study

HEAD = 'name = "s"\ntitle = "t"\ndata = ["digits"]\n'
HALVING = (
    '[search]\nkind = "halving"\nresource = "max_epochs"\n'
    "min_resources = 1\nmax_resources = 3\ngrid = { lr = [0.001, 0.002] }\n"
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('train_rows = "by_seed"\n', 4, "train_rows: requires 'n_train'"),
        ('validation_rows = "first"\n', 4, "validation_rows: requires a fraction"),
        (
            'validation = "test"\nvalidation_rows = "first"\n',
            5,
            "validation_rows: requires a fraction",
        ),
        (
            f"[estimator]\nmax_epochs = 7\n{HALVING}",
            5,
            "estimator.max_epochs: 'max_epochs' is the resource of the search",
        ),
        (
            "[search.grid]\nlr = [0.001, 0.002, 0.001]\n",
            5,
            "search.grid.lr: 0.001 must not occur more than once",
        ),
        (
            "[search.grid]\nweight_decay = [0, 0.0]\n",
            5,
            "search.grid.weight_decay: 0.0 must not occur more than once",
        ),
        (
            "[search.grid]\nmaps = [[4, 8], [6, 16], [4, 8]]\n",
            5,
            r"search.grid.maps: \[4, 8\] must not occur more than once",
        ),
        (
            '[[setting]]\nname = "a"\ngrid = { weight_decay = [0, 0.0] }\n',
            6,
            "setting.0.grid.weight_decay: 0.0 must not occur more than once",
        ),
    ],
)
def test_a_key_without_effect_is_an_error(tmp_path, text, line, message):
    path = tmp_path / "s.toml"
    path.write_text(HEAD + text)
    with pytest.raises(StudyError, match=rf"s\.toml:{line}: {message}"):
        read_study(path)


@pytest.mark.parametrize(
    "text",
    [
        'n_train = 100\ntrain_rows = "by_seed"\n',
        'train_rows = "by_seed"\n[[setting]]\nname = "a"\nn_train = 100\n',
        'validation = 0.1\nvalidation_rows = "first"\n',
        HALVING,
        '[search]\nkind = "random"\nn_iter = 2\n'
        "grid = { lr = { uniform = [0.1, 0.2] }, activation = ['relu', 'tanh'] }\n",
    ],
)
def test_the_same_keys_with_an_effect_are_valid(tmp_path, text):
    path = tmp_path / "s.toml"
    path.write_text(HEAD + text)
    read_study(path)


def test_older_records_with_such_keys_can_be_read():
    record = {"name": "s", "title": "t", "data": ["digits"], "validation_rows": "first"}
    assert Study.from_record(record).validation_rows == "first"
