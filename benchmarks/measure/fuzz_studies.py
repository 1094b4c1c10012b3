"""Run the commands on mutated study files and journals.

    python benchmarks/measure/fuzz_studies.py --inputs 1000 --seed 0

tries the given number of inputs of each kind. It prints how often each exit code occurred,
and every input for which a command fails unexpectedly.
"""

import argparse
import io
import json
import random
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from unittest import mock

from sklenet.cli import main
from sklenet.study.config.read import read_study
from sklenet.study.engine.plan import hash_search, make_winner, plan_jobs
from sklenet.study.engine.records import RECORDS

EXIT_CODES = {0, 1, 2, 130}

_HEAD = """name = "small"
title = "A small study"
data = ["digits"]
seeds = [0, 1]
metrics = ["accuracy", "neg_log_loss"]
"""
_ESTIMATOR = """
[estimator]
max_epochs = 1
batch_size = 256
"""
_STUDIES = [
    _HEAD + 'validation = 0.1\nnotes = "Notes."\n' + _ESTIMATOR,
    _HEAD
    + 'steps = [{ transformer = "PixelScaler", to = "unit" }]\n'
    + _ESTIMATOR
    + '[search]\ncv = 2\n[search.grid]\npooling = ["max", "avg"]\n'
    + 'pixelscaler__to = ["unit", "signed"]\n',
    _HEAD
    + _ESTIMATOR
    + '[search]\nkind = "random"\ncv = 2\nn_iter = 3\n[search.grid]\n'
    + "lr = { loguniform = [1e-4, 1e-1] }\nhidden = [[20], [30, 10]]\n",
    _HEAD
    + '[estimator]\nbatch_size = 256\n[search]\nkind = "halving"\ncv = 2\n'
    + 'resource = "max_epochs"\nmin_resources = 1\nmax_resources = 4\n'
    + "grid = { lr = [0.001, 0.002] }\n",
    _HEAD
    + _ESTIMATOR
    + '[[setting]]\nname = "a"\n[[setting]]\nname = "b"\nlike = "a"\n'
    + "estimator = { net_params = { optimizer__betas = [0.9, 0.99] } }\nseeds = [3]\n"
    + '[[setting]]\nname = "c"\ngrid = { lr = [0.1, 0.2], augment = ["flip", "none"] }\n',
    _HEAD
    + 'steps = [{ transformer = "sklearn.decomposition.PCA", n_components = 36 }]\n'
    + _ESTIMATOR
    + '[[test]]\nname = "n"\nsteps = [{ transformer = "Inverter", maximum = 16 }]\n'
    + '[[published]]\ndata = "digits"\nsource = "s"\nfigures = { test_accuracy = 0.5 }\n',
]

# Without names of data sets, which would be downloaded.
_VALUES = [
    *("0", "-1", "9" * 25, "9" * 400, "9" * 5000, "1e400", "-0.0", "1e-9", "nan", "inf"),
    *("true", '""', '"none"', "[]", "{}", "[[]]", "[" * 3000, "[" * 30 + "]" * 30),
    *('"\\u001b[31m"', '"=1+1"', '"$x_"', '"_a"', '"<b>|`"', "1979-05-27", "'../../x'"),
    *('"sklearn.cluster.FeatureAgglomeration"', '"os.system"', '{ memory = "x" }'),
    *('["x"]', "[1000000000000000]", '{ callbacks = ["x"] }', "0x7fffffffffffffff"),
    *('"roc_auc"', '"test"', '"optuna"', "1000", "{ randint = [1, 2] }", '"\\u0000"'),
]
_NODES = [
    *(None, True, 0, -1, 10**15, 2**63, 10**30, 1.5, -0.0, 1e308, "", "x", "\x1b[31m"),
    *("\ud800", "$\\frac{", "=1", "<script>", "../../x", [], {}, [[]], [[[[[]]]]]),
    *({"": {}}, ["x"], "digits", "mnist", "fit", "fold", "search", "trial", "study"),
]


def _mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return bytes of which a few are changed, removed, repeated or truncated."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        position = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0:
                changed[position:position] = rng.randbytes(rng.randint(1, 4))
            case 1:
                del changed[position : position + rng.randint(1, 30)]
            case 2:
                changed[position:position] = changed[
                    position : position + rng.randint(1, 60)
                ]
            case 3 if position < len(changed):
                changed[position] ^= 1 << rng.randrange(8)
            case 4 if rng.random() < 0.2:
                del changed[position:]
    return bytes(changed)


def _mutate_lines(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    """Return lines, one of which is removed, repeated or moved."""
    changed = list(lines)
    line = changed.pop(rng.randrange(len(changed)))
    for _ in range(rng.randint(0, 2)):
        changed.insert(rng.randint(0, len(changed)), line)
    return changed


def make_study_input(rng: random.Random) -> bytes:
    """Return a randomly mutated study file."""
    lines = rng.choice(_STUDIES).encode().splitlines(keepends=True)
    for _ in range(rng.randint(1, 2)):
        match rng.randrange(4):
            case 0:
                lines = _mutate_lines(rng, lines)
            case 1:
                lines = _mutate_bytes(rng, b"".join(lines)).splitlines(keepends=True)
            case 2:
                other = rng.choice(_STUDIES).encode().splitlines(keepends=True)
                lines.insert(rng.randint(0, len(lines)), rng.choice(other))
            case 3:
                k = rng.choice([k for k, line in enumerate(lines) if b"=" in line] or [0])
                key = lines[k].partition(b"=")[0].rstrip() if lines else b"x"
                lines[k : k + 1] = [key + b" = " + rng.choice(_VALUES).encode() + b"\n"]
        lines = lines or [b"\n"]
    return b"".join(lines)


@cache
def _records() -> tuple[tuple[dict, ...], ...]:
    """Return artificial records of complete runs of two of the studies."""
    return tuple(tuple(_make_records(text)) for text in (_STUDIES[0], _STUDIES[1]))


def _make_records(text: str) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.toml"
        path.write_text(text)
        study = read_study(path)
    run = {"kind": "run", "run": 1, "command": "sklenet study", "started": "2026"}
    run |= {"versions": {"sklenet": "1"}, "machine": {"cpu": "c"}, "revision": None}
    records = [{"kind": "study", "study": study.to_record()}, run]
    history = [{"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.5}]
    history[0] |= {"valid_loss": 0.6, "valid_accuracy": 0.4}
    fitted = {"run": 1, "data": "digits", "params": {"lr": 0.1}, "steps": []}
    fitted |= {"seconds": 1.5, "n_parameters": 61706, "history": history, "n_train": 9}
    winner = None
    if study.search:
        params = [{"pooling": "max", "pixelscaler__to": to} for to in ("unit", "signed")]
        for k in range(2):
            scores = {"scores": {"accuracy": 0.5, "neg_log_loss": -1.0}}
            records.append({"kind": "fold", "key": f"k{k}"} | fitted | scores)
        table = {"params": params, "mean_test_score": [0.5, None]}
        table |= {"rank_test_score": [1, 2], "std_test_score": [0.1, None]}
        table |= {f"param_{name}": [p[name] for p in params] for name in params[0]}
        table |= {f"split{k}_test_score": [0.5, 0.4] for k in range(2)}
        search = {"kind": "search", "of": hash_search(study), "data": "digits", "best": 0}
        records.append(search | {"cv_results": table})
        winner = make_winner(study, "digits", params[0])
    for job in plan_jobs(study, "digits", winner):
        tests = {"accuracy": 0.9, "neg_log_loss": -0.5, "mistakes": [[3, 1, 0.9]]}
        tests["confusion"] = [[36 * (i == j) for j in range(10)] for i in range(10)]
        tests["rejection"] = [0.1] * 101
        record = {"kind": "fit", "key": job.make_key(study), "setting": job.setting}
        record |= fitted | {"seed": job.seed, "n_valid": 1, "n_test": 360}
        records.append(record | {"best_epoch": 1, "tests": {"test": tests}})
    return records


def _mutate_node(rng: random.Random, record: dict) -> None:
    """Change one value, or remove one key, at a random place in a record."""
    node, depth = record, rng.randint(0, 5)
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = rng.choice(keys)
        if depth == 0 or not isinstance(node[key], dict | list):
            break
        node, depth = node[key], depth - 1
    if rng.random() < 0.2:
        del node[key]
    else:
        node[key] = rng.choice(_NODES)


def make_journal_input(rng: random.Random) -> bytes:
    """Return a randomly mutated journal."""
    records = json.loads(json.dumps(rng.choice(_records())))
    if rng.random() < 0.6:
        for _ in range(rng.randint(1, 2)):
            _mutate_node(rng, rng.choice(records))
    lines = [json.dumps(record).encode() + b"\n" for record in records]
    match rng.randrange(4):
        case 0:
            return b"".join(_mutate_lines(rng, lines))
        case 1:
            return _mutate_bytes(rng, b"".join(lines))
        case 2:
            k = rng.randrange(len(lines))
            odd = [b"{}\n", b"[]\n", b"null\n", b"[" * 100_000 + b"\n", b"\0\n", b"\xff\n"]
            lines.insert(k, rng.choice([*odd, b"9" * 5000 + b"\n", b'{"kind": 1}\n']))
    return b"".join(lines)


def _run_command(*arguments: str) -> tuple[int, str]:
    """Run a command in this process; return its exit code and its output.

    Raises
    ------
    AssertionError
        If the exit code is not one of the documented ones, or a traceback is printed.
    """
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        code = main(list(arguments))
    if code not in EXIT_CODES or "Traceback" in text.getvalue():
        raise AssertionError(f"exit code {code}: {text.getvalue()[-2000:]}")
    return code, text.getvalue()


def try_study(data: bytes, folder: Path) -> tuple[int, str]:
    """Run `sklenet study --dry-run` on a file; return its exit code and its output.

    Parameters
    ----------
    data : bytes
        Content of the study file.
    folder : Path
        Folder in which the file is written.
    """
    path = Path(folder) / "small.toml"
    path.write_bytes(data)
    return _run_command("study", str(path), "--out", str(folder), "--dry-run")


def try_journal(data: bytes, folder: Path, *, with_figures: bool = True) -> tuple[int, str]:
    """Run `sklenet report` on a journal; return its exit code and its output.

    Parameters
    ----------
    data : bytes
        Content of the journal.
    folder : Path
        Folder in which the journal is written.
    with_figures : bool, default=True
        Whether figures are drawn, which takes a second.
    """
    (Path(folder) / RECORDS).write_bytes(data)
    if with_figures:
        return _run_command("report", str(folder))
    with mock.patch("sklenet.study.report.page.iter_figures", return_value=()):
        return _run_command("report", str(folder))


def run_all(n: int, seed: int) -> bool:
    """Try `n` study files and `n` journals; return whether none had an unexpected error."""
    is_clean = True
    for name, make, attempt in (
        ("study files", make_study_input, try_study),
        ("journals", make_journal_input, try_journal),
    ):
        codes: Counter = Counter()
        for k in range(n):
            data = make(random.Random(f"{seed} {name} {k}"))
            with tempfile.TemporaryDirectory() as folder:
                try:
                    code, text = attempt(data, Path(folder))
                except Exception as error:
                    is_clean = False
                    print(f"{name} {k}: {type(error).__name__}: {error}")
                    continue
            codes[code] += 1
            for line in text.splitlines():
                if "unexpected error" in line or "not written" in line:
                    codes["unexpected"] += 1
                    print(f"{name} {k}: {line[:200]}")
        print(f"{n} {name}: {dict(codes)}", flush=True)
    return is_clean


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1000, help="default: 1000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parsed = parser.parse_args()
    sys.exit(0 if run_all(parsed.inputs, parsed.seed) else 1)
