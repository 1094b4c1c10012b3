import json

import pytest

from sklenet.cli import main
from sklenet.study import StudyError, load
from sklenet.study.config.read import read_study
from sklenet.study.engine.journal import JournalError
from sklenet.study.engine.records import RECORDS, StudyJournal
from sklenet.study.report.results import Results

FIT = {
    "key": "k",
    "kind": "fit",
    "data": "digits",
    "setting": "estimator",
    "seed": 0,
    "params": {"lr": 0.1},
    "seconds": 1.5,
    "history": [{"epoch": 1, "train_loss": 0.5}],
    "tests": {"test": {"accuracy": 0.5, "mistakes": [[3, 1, 0.9]]}},
}
SEARCH = {
    "kind": "search",
    "of": "x",
    "data": "digits",
    "best": 0,
    "cv_results": {
        "params": [{"lr": 0.1}, {"lr": 0.2}],
        "mean_test_score": [0.5, None],
        "rank_test_score": [1, 2],
        "split0_test_score": [0.5, None],
        "split1_test_score": [0.5, 0.1],
    },
}


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('name = "s"\ntitle = "t"\ndata = ["digits"]\n')
    return {"kind": "study", "study": read_study(path).to_record()}


def write(folder, *records):
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    (folder / RECORDS).write_text("".join(line + "\n" for line in lines))


def test_valid_records_are_read(study, tmp_path):
    write(tmp_path, study, FIT, SEARCH)
    assert list(StudyJournal(tmp_path / RECORDS)) == [study, FIT, SEARCH]


def without(record, key):
    return {k: v for k, v in record.items() if k != key}


def with_table(**columns):
    return SEARCH | {"cv_results": SEARCH["cv_results"] | columns}


THREE = ("batch_size", "max_epochs", "n_iter_no_change")

BAD = [
    ({}, "the key 'kind' of the record is missing"),
    ({"kind": "nonsense"}, "'nonsense'"),
    ({"kind": ["fit"]}, "kind"),
    (without(FIT, "key"), "the key 'key' of the record is missing"),
    (without(FIT, "params"), "the key 'params' of the record is missing"),
    (without(FIT, "seed"), "the key 'seed' of the record is missing"),
    (FIT | {"key": 1}, "key: Input should be a valid string. Got 1"),
    (FIT | {"seconds": "1.5"}, "seconds"),
    (FIT | {"seconds": None}, "seconds"),
    (FIT | {"seconds": 10**400}, "seconds is a whole number that does not fit 64 bits"),
    (FIT | {"params": {"lr": 10**400}}, "params.lr is a whole number that does not fit"),
    (FIT | {"params": []}, "params: Input should be a valid dictionary"),
    (FIT | {"data": "../../x"}, "data: Input should be 'digits', 'mnist'"),
    (FIT | {"history": [[[]]]}, "history.0: Input should be a valid dictionary"),
    (FIT | {"history": [{"train_loss": [[1]]}]}, "history.0.train_loss"),
    (FIT | {"tests": {"test": [1]}}, "tests.test"),
    (FIT | {"tests": {"test": {"accuracy": "high"}}}, "tests.test.accuracy"),
    (FIT | {"tests": {"test": {"confusion": [[1]]}}}, "tests.test.confusion"),
    (FIT | {"tests": {"test": {"mistakes": [[3, 99, 0.5]]}}}, "tests.test.mistakes.0.1"),
    (FIT | {"best_epoch": 2}, "best_epoch is 2, but the history has 1 epochs"),
    (FIT | {"error": 1}, "error: Input should be a valid string"),
    (SEARCH | {"best": 2}, "best is 2, but there are 2 candidates"),
    (with_table(rank_test_score=[1]), "cv_results.rank_test_score is not a list of 2"),
    (with_table(split0_test_score=["a", 1]), "split0_test_score has a value that is not"),
    (with_table(params=[{"lr": 1}, {"a": 1}]), "not all of the same parameters"),
    (with_table(params=[]), "cv_results.params: List should have at least 1 item"),
    ({"kind": "study", "study": []}, "study: Input should be a valid dictionary"),
    ({"kind": "run", "run": 1, "versions": []}, "versions: Input should be a valid dict"),
    ({"kind": "trial", "key": "a"}, "of the record is missing"),
    ("[" * 100_000, "not a record"),
    ("[]", "not a record"),
    ("\0", "not a record"),
    ("9" * 5000, "not a record"),
]


@pytest.mark.parametrize(("record", "message"), BAD)
def test_an_invalid_record_names_file_and_line(study, tmp_path, record, message, capsys):
    write(tmp_path, study, record, FIT)
    with pytest.raises(JournalError) as error:
        load(tmp_path)
    assert f"{RECORDS}:2: " in str(error.value)
    assert message in str(error.value)
    assert main(["report", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("sklenet: error: ")
    assert f"{RECORDS}:2: " in told


@pytest.mark.parametrize("record", [{}, without(FIT, "params")])
def test_an_invalid_last_record_is_not_dropped(study, tmp_path, record):
    write(tmp_path, study, FIT, record)
    before = (tmp_path / RECORDS).read_bytes()
    with pytest.raises(JournalError, match=r"jsonl:3: the key"):
        StudyJournal(tmp_path / RECORDS).repair()
    assert (tmp_path / RECORDS).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"\x80\xff\0" * 999, b"{", b"\n\n\n", b"[[[[\n"])
def test_a_file_that_is_not_a_journal_is_an_error(tmp_path, content, capsys):
    (tmp_path / RECORDS).write_bytes(content)
    assert main(["report", str(tmp_path)]) == 2
    assert RECORDS in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": [{"transformer": "os.system"}]}, "no transformer 'os.system'"),
        (
            {"steps": [{"transformer": "sklearn.decomposition.PCA", "memory": "x"}]},
            "PCA has no parameter 'memory'",
        ),
        ({"estimator": {"net_params": {"callbacks": ["x"]}}}, "'callbacks'"),
        ({"estimator": {"hidden": [10**15]}}, "'hidden'"),
        ({"seeds": "all"}, "seeds: Input should be a valid list"),
        ({"nonsense": 1}, "unknown key 'nonsense'."),
        ({"title": None}, "title"),
        (
            {"setting": [{"name": "a", "grid": {n: [*range(1, 1001)] for n in THREE}}]},
            "1,000,000,000 settings",
        ),
    ],
)
def test_the_study_in_a_journal_is_checked_like_a_file(study, tmp_path, change, message):
    study["study"] |= change
    write(tmp_path, study)
    with pytest.raises(StudyError, match=rf"{RECORDS}: the recorded study") as error:
        Results(tmp_path)
    assert message in str(error.value)


def test_the_winner_of_a_search_must_be_a_candidate_of_the_study(
    study, tmp_path, monkeypatch
):
    study["study"]["search"] = {"kind": "grid", "grid": {"lr": [0.1, 0.2]}, "cv": 2}
    write(tmp_path, study)
    from sklenet.study.engine.plan import hash_search

    of = hash_search(Results(tmp_path).study)
    params = [{"memory__x": 1}, {"memory__x": 2}]
    write(tmp_path, study, with_table(params=params) | {"of": of})
    with pytest.raises(StudyError, match="the best candidate of the search on digits"):
        Results(tmp_path).winner("digits")
