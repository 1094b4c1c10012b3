"""The tables of custom datasets and subsets in a study file."""

import json

import pytest

from sklenet.study import Study, StudyError, read_study

HEAD = 'name = "s"\ntitle = "t"\ndata = ["leaves"]\n'


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "s.toml"
        path.write_text(text)
        return read_study(path)

    return read


@pytest.mark.parametrize(
    "table",
    [
        'folder = "scans"\ntest_folder = "test"\nimage_shape = [3, 32, 32]\n',
        'file = "../t.csv"\nlabel = "class"\ntest_fraction = 0.25\ntest_seed = 3\n',
        'file = "t.PARQUET"\n',
        "openml = 554\nversion = 1\n",
    ],
)
def test_a_table_survives_the_journal_as_it_is_in_the_file(read, table, tmp_path):
    import tomllib

    study = read(f"{HEAD}[dataset.leaves]\n{table}")
    record = json.loads(json.dumps(study.to_record()))
    assert record["dataset"] == {"leaves": tomllib.loads(table)}
    assert Study.from_record(record) == study
    assert study.folder == tmp_path


def test_the_record_of_a_study_without_custom_data_has_no_new_keys(read):
    text = HEAD.replace("leaves", "digits") + '[[setting]]\nname = "a"\n'
    record = read(text).to_record()
    assert not {"dataset", "n_train", "train_rows"} & set(record)
    assert "n_train" not in record["setting"][0]


WRONG = [
    ("", "data.0: Input should be 'digits', 'mnist'"),
    ("[dataset.leafs]\nfolder = 'x'\n", "Got 'leaves'. Did you mean 'leafs'?"),
    ("[dataset.mnist]\nfolder = 'x'\n", "'mnist' is the name of a dataset that sklenet"),
    ("[dataset.'../x']\nfolder = 'x'\n", "the name of a dataset must have letters"),
    ("[dataset.leaves]\nfolder = 'x'\nfile = 'y.csv'\n", "'folder' and 'file' exclude"),
    ("[dataset.leaves]\nlabel = 'x'\n", "needs one of 'folder', 'file' and 'openml'"),
    ("[dataset]\nleaves = 'scans'\n", "must be a table, such as { folder = 'scans' }"),
    ("[dataset.leaves]\nfolder = 'x'\nlabel = 'y'\n", "unknown key 'label'"),
    ("[dataset.leaves]\nfile = 'x.csv'\nlabl = 'y'\n", "Did you mean 'label'?"),
    ("[dataset.leaves]\nfile = 'x.xlsx'\n", "must be a file whose name ends with .csv"),
    ("[dataset.leaves]\nfile = 'https://x.org/a.csv'\n", "not a URL"),
    ('[dataset.leaves]\nfolder = "a\\u0000b"\n', "must be the path of a file or folder"),
    ("[dataset.leaves]\nfolder = ''\n", "must be the path of a file or folder"),
    ("[dataset.leaves]\nfolder = 'x'\nimage_shape = [28]\n", "must be [height, width], or"),
    ("[dataset.leaves]\nfolder = 'x'\nimage_shape = [2, 8, 8]\n", "1 or 3 channels"),
    ("[dataset.leaves]\nfolder = 'x'\nimage_shape = [999, 8]\n", "less than or equal to"),
    ("[dataset.leaves]\nfolder = 'x'\ntest_fraction = 1.5\n", "less than 1"),
    (
        "[dataset.leaves]\nfolder = 'x'\ntest_folder = 'y'\ntest_fraction = 0.5\n",
        "'test_folder' and 'test_fraction' exclude each other",
    ),
    ("[dataset.leaves]\nfolder = 1\n", "valid string"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_invalid_tables_name_the_line_and_what_is_allowed(read, text, message):
    with pytest.raises(StudyError) as error:
        read(HEAD + text)
    assert message in str(error.value)
    assert "s.toml:" in str(error.value)


WITH_DIGITS = HEAD.replace("leaves", "digits")
SETTINGS = '[[setting]]\nname = "a"\n[[setting]]\nname = "b"\ngrid = { lr = [0.1, 0.2] }\n'


def test_several_sizes_are_a_factor_of_every_setting(read):
    study = read(f"{WITH_DIGITS}n_train = [50, 100]\n{SETTINGS}")
    assert [(s.name, s.n_train, s.name_without_n_train) for s in study.settings] == [
        ("a, n_train 50", 50, "a"),
        ("a, n_train 100", 100, "a"),
        ("b, lr 0.1, n_train 50", 50, "b, lr 0.1"),
        ("b, lr 0.1, n_train 100", 100, "b, lr 0.1"),
        ("b, lr 0.2, n_train 50", 50, "b, lr 0.2"),
        ("b, lr 0.2, n_train 100", 100, "b, lr 0.2"),
    ]
    assert Study.from_record(json.loads(json.dumps(study.to_record()))) == study
    alone = read(f"{WITH_DIGITS}n_train = [50, 100]\n")
    assert [s.name for s in alone.list_settings("digits")] == ["n_train 50", "n_train 100"]


def test_a_setting_can_have_its_own_sizes(read):
    study = read(
        f"{WITH_DIGITS}n_train = 500\n"
        '[[setting]]\nname = "a"\nn_train = 50\n'
        '[[setting]]\nname = "b"\ngrid = { n_train = [60, 70], lr = [0.1] }\n'
        '[[setting]]\nname = "c"\n'
    )
    assert [study.get_n_train(s) for s in study.settings] == [50, 60, 70, 500]
    assert all(s.estimator in ({}, {"lr": 0.1}) for s in study.settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_train = 1\n", "n_train"),
        ("n_train = 0.5\n", "n_train"),
        ("n_train = []\n", "must not be empty"),
        ("n_train = [50, 50]\n", "must not have a number twice"),
        ('train_rows = "by_seed"\n', "requires 'n_train'"),
        ("n_train = [50, 60]\n[search.grid]\nlr = [0.1, 0.2]\n", "Set one number"),
        ('[[setting]]\nname = "a"\ngrid = { n_train = [1] }\n', "at least 2. Got 1"),
        (
            '[[setting]]\nname = "a"\nn_train = 50\ngrid = { n_train = [60] }\n',
            "both in the setting and in its 'grid'",
        ),
        (
            "n_train = ["
            + ", ".join(map(str, range(10, 1100)))
            + "]\n"
            + '[[setting]]\nname = "a"\ngrid = { batch_size = [1,2,3,4,5,6,7,8,9,10] }\n',
            "10,900 settings",
        ),
    ],
)
def test_invalid_sizes_are_rejected(read, text, message):
    with pytest.raises(StudyError) as error:
        read(WITH_DIGITS + text)
    assert message in str(error.value)
