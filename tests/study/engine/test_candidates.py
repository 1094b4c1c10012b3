import json

import pytest

from sklenet.cli.progress import Progress, _describe
from sklenet.study import read_study, run_study
from sklenet.study.engine.candidates import describe_candidate
from sklenet.study.engine.records import RECORDS, StudyJournal

HEAD = 'name = "s"\ntitle = "t"\ndata = ["digits"]\n'
STEPS = 'steps = [{ transformer = "PixelScaler", to = "unit" }]\n'
QUICK = "[estimator]\nmax_epochs = 1\nbatch_size = 256\n"
GRID = 'grid = { lr = [0.001, 0.002], pixelscaler__to = ["unit", "signed"] }\n'


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (
            f"{STEPS}{QUICK}[search]\ncv = 2\n{GRID}",
            [
                {"lr": lr, "pixelscaler__to": to}
                for lr in ("0.001", "0.002")
                for to in ("unit", "signed")
            ],
        ),
        (
            f"{STEPS}{QUICK}[search]\ncv = 2\n"
            'grid = { pixelscaler = ["PixelScaler", "passthrough"] }\n',
            [{"pixelscaler": "on"}, {"pixelscaler": "passthrough"}],
        ),
        (
            f"{QUICK}[search]\ncv = 2\nkind = 'settings'\n[[setting]]\nname = 'a'\n"
            "[[setting]]\nname = 'b'\nestimator = { lr = 0.002 }\n",
            [{"setting": "a"}, {"setting": "b"}],
        ),
        (
            f"{QUICK}[search]\ncv = 2\nkind = 'optuna'\nn_iter = 2\n"
            "grid = { lr = [0.001] }\n",
            [{"lr": "0.001"}],
        ),
    ],
    ids=["grid", "steps", "settings", "optuna"],
)
def test_every_fit_of_a_search_is_that_of_a_candidate(tmp_path, search, expected):
    if "optuna" in search:
        pytest.importorskip("optuna_integration")
    (tmp_path / "s.toml").write_text(HEAD + search)
    study = read_study(tmp_path / "s.toml")
    folder = run_study(study, tmp_path)
    records = [
        record
        for record in StudyJournal(folder / RECORDS)
        if record["kind"] in ("fold", "trial")
    ]
    found = [describe_candidate(study, record) for record in records]
    as_text = sorted(map(json.dumps, found))
    assert as_text == sorted(map(json.dumps, 2 * expected))
    line = _describe(records[0], found[0])
    name, value = next(iter(found[0].items()))
    assert line.startswith("digits, ")
    assert f"{name} {value}" in line


def test_the_lines_of_a_search_name_its_candidates(tmp_path, capsys):
    (tmp_path / "s.toml").write_text(
        f"{HEAD}{QUICK}[search]\ncv = 2\ngrid = {{ lr = [0.001, 0.002] }}\n"
    )
    study = read_study(tmp_path / "s.toml")
    with Progress(study, tmp_path / "s" / RECORDS):
        run_study(study, tmp_path)
    err = capsys.readouterr().err
    assert err.count("digits, lr 0.001, one fold of a search: accuracy 0.") == 2
    assert err.count("digits, lr 0.002, one fold of a search: accuracy 0.") == 2
