"""Make ``docs/security.md``: what may be opened from strangers, and how it is tested."""

from origin import where
from performance import RESULTS, ROOT
from tabulate import tabulate

from sklenet.study.engine.journal import Journal

DOCUMENT = ROOT / "docs" / "security.md"

_PAGE = """# Security

<!-- Made from the records by `make tables`; not to be edited. -->

Which files may be opened that somebody else has written, and what is promised about them.

| file | opened by | from a stranger? |
| --- | --- | --- |
| saved model | `LeNet5Classifier.load`, `sklenet predict` | yes |
| image | `sklenet predict`, `load_image_folder`, `sklenet fit` | yes |
| study (TOML) | `sklenet study` | yes, read what it would train with `--dry-run` first |
| journal (`records.jsonl`) | `sklenet report`, `sklenet study` | yes |
| report (`report.html`, tables, figures) | a browser, a spreadsheet | yes |
| data set | `fetch_mnist` and the others | yes: checked against its published checksum |
| pickle, joblib, `torch.save` | `pickle.load`, `joblib.load`, `torch.load` | **no** |

## Promises

**Nothing in these files is executed.** A saved model is numbers and JSON: parameters are
plain values, and those that name a layer, a loss or an optimizer name one of this package.
A study names transformers and estimators from a list, and does not name paths, callables
or code. Images are read by decoders of Pillow that start no other program.

**A file that cannot be used raises `ValueError` or `OSError`**, whose message names the
file and what is wrong with it. The commands print that message and return exit code 2.

**A small file does not take much memory or time.** Sizes are checked before memory is
allocated for them. Loading a model, or refusing to, takes at most 100 MB and ten times the
size of the file.

**A model that loads is sound.** Weights are finite, labels are distinct and sorted, and
history, optimizer and random numbers are those of a fit. A checksum tells damage. It does
not tell who wrote the file, or whether the model predicts well: a stranger's model may be
trained to be wrong on chosen images.

**Files are written as a whole or not at all.** `save`, `sklenet fit --out` and `to_onnx`
write a temporary file beside the target and rename it. If the process is killed, the old
file is unchanged, and the next save in that folder removes the temporary file. Only regular
files are replaced, and no read-only ones. Symbolic links are kept.

## Pickles

Opening a pickle executes whatever its author wrote into it, before anything can be checked.
This holds for `pickle`, `joblib` and `torch.load(weights_only=False)`, and for estimators
of every library. Use `LeNet5Classifier.save` and `load` to pass on a model, or
[skops](https://skops.readthedocs.io) for a whole pipeline, which lists the types that a
file contains before it loads them.

CIFAR-10 is published as pickles: they are opened only if their checksums are those of the
authors' files.

## Tests

`python benchmarks/measure/fuzz.py` mutates good files, in their bytes and in what the bytes
mean: single values of a saved model with a checksum that fits, chunks of an image, keys and
values of studies and journals. Each input may be read or refused. Whatever else happens
counts as escaped: another exception, a program that is started, a pickle that is read, an
allocation of gigabytes, a model that loads and does not predict probabilities.

{table}

{origin} The slowest input took {slowest:.1f} s. `make test` tries 500 inputs of another
seed, and the files of `tests/persistence/test_model_file.py`, made by hand to take memory,
to be unsound or to execute something.
"""


def render() -> str:
    """Return the document."""
    run, *rows = Journal(RESULTS / "fuzz" / "records.jsonl")
    columns = ("inputs", "read", "refused", "escaped")
    table = [{"file": row["kind"], **{name: row[name] for name in columns}} for row in rows]
    if len(rows) > 1:
        sums = {name: sum(row[name] for row in rows) for name in columns}
        table.append({"file": "**all**", **sums})
    return _PAGE.format(
        table=tabulate(table, headers="keys", tablefmt="pipe", intfmt=","),
        origin=where(run),
        slowest=max(row["slowest"] for row in rows),
    )
