"""Write the documents that hold figures, from the committed records.

    python benchmarks/documents/tables.py

rewrites ``benchmarks/README.md``, ``docs/conformance.md``, ``docs/augmentation.md``,
``docs/cost.md``, ``docs/ladder.md``, ``docs/pages.md``, ``docs/security.md``, the tables of
``docs/lenet5_1998.rst`` and ``docs/performance.md``, and, in ``README.md``, what stands
between ``<!-- records: NAME -->`` and ``<!-- end -->``: the table of the study NAME.
"""

import re
import sys
from collections import Counter
from pathlib import Path

import cost
import ladder
import lenet5_1998
import pandas as pd
import performance
import references
import security
from origin import made, where

from sklenet.study.engine.journal import Journal
from sklenet.study.report.figures import CURVES
from sklenet.study.report.page import PAGE
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import per_class
from sklenet.study.report.tables import markdown
from sklenet.training.augment import AUGMENTATIONS

sys.path.append(str(Path(__file__).parents[1] / "measure"))
import pages

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"

_HEAD = """# Benchmarks

<!-- Made from the records by `make tables`; not to be edited. -->

Each study is one TOML file in this folder, its records, table and learning curves are in
`results/<study>/`. A published figure is a claim to test: ours stands beside it. A fit is
scored on the test images after its last epoch, and where a part of the training images is
held out, also at the epoch with the lowest loss on these, "the best epoch", never at the
epoch that is best on the test images. What is chosen is chosen on what was held out. No
seed is left out. First what others publish, one table each, then all studies.
"""

_STUDIES = "## All studies\n"

_CONFORMANCE_HEAD = """# Conformance

<!-- Made from the records by `make tables`; not to be edited. -->

`python benchmarks/measure/conformance.py` runs scikit-learn's own checks of an estimator,
and all that wraps one, on `LeNet5Classifier` and on skorch's `NeuralNetClassifier`, which
train the same network in the same process. The checks run on the defaults, with nothing
that makes them skip; a check that runs on several inputs has several outcomes. The wrappers
are the functions in `tests/wrappers.py`: small real digits, with assertions on scores,
probabilities and, where it says so, equality to the last bit.

The one expected failure is scikit-learn's comparison of weights with repeated rows:
minibatches are drawn by rows, not by weight, as in scikit-learn's own `MLPClassifier`.
Under full-batch descent the two are the same, which `tests/estimator/test_training.py`
shows.

`tests/estimator/test_sklearn_checks.py` runs the checks on other settings too, all with the
same outcome: early stopping, class weights, average pooling, label smoothing and each loss.
One needs help: `loss="l1"` passes the checks that measure accuracy only with small first
weights (`init="xavier_uniform"`, 40 epochs), because the absolute error of a softmax hardly
moves a class that starts out improbable.

skorch does not set out to pass these checks: it trains any module on any input, and leaves
types, shapes and labels to its user.
"""

_AUGMENTATION_HEAD = """# Augmentation

<!-- Made from the records by `make tables`; not to be edited. -->

`augment=` changes training images at random, each sample anew in every epoch, in the batch
and on the device; validation and test images never. It takes names, or dicts of amounts by
name, so that a grid can search it:

```python
LeNet5Classifier(augment=["flip", {"shift": 3}])
```

![Each augmentation on a real digit](augmentations.png)

The cost is the time of an epoch on the whole MNIST training set over that of an epoch
without augmentation, epochs interleaved in one run (`python
benchmarks/measure/augmentations.py --cost`), the median of REPEATS repeats and their range.
"""

_MARKED = re.compile(r"(<!-- records: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


# What is kept of a study besides its records and its table.
_PICTURES = (CURVES, "main_effects", "heat_map")
_PAGES = {"activation_study"}

# Studies of publications that show their classes one by one.
_BY_CLASS = {"reference_c"}


def render() -> dict[Path, str]:
    """Return the text of each document that holds figures."""
    readme = ROOT / "README.md"
    return {
        ROOT / "benchmarks" / "README.md": _benchmarks(),
        ROOT / "docs" / "augmentation.md": _augmentation(records("augmentations")),
        lenet5_1998.DOCUMENT: lenet5_1998.render(),
        performance.DOCUMENT: performance.render(),
        cost.DOCUMENT: cost.render(),
        ladder.DOCUMENT: ladder.render(),
        pages.DOCUMENT: pages.render(),
        security.DOCUMENT: security.render(),
        ROOT / "docs" / "conformance.md": _conformance(records("conformance")),
        readme: _MARKED.sub(_refill, readme.read_text(encoding="utf-8")),
    }


def records(name: str) -> list[dict]:
    """Return the records of a script."""
    return list(Journal(RESULTS / name / "records.jsonl"))


def _studies() -> list[Path]:
    return sorted(path.parent for path in RESULTS.glob("*/table.md"))


def _benchmarks() -> str:
    studies = {folder.name: Results(folder) for folder in _studies()}
    contents = [f"- [{name}](#{name}): {one.study.title}" for name, one in studies.items()]
    sections = map(_section, studies.values())
    parts = [_HEAD, references.render(studies), _STUDIES, *contents, "", *sections]
    return "\n".join(parts)


def _section(results: Results) -> str:
    folder = results.folder
    environment = "SKLENET_DATA=ROOT " if results.study.data != ("digits",) else ""
    page = f" [All of it as one page](results/{folder.name}/{PAGE})."
    pictures = "\n".join(
        f"![{path.stem.replace('_', ' ')}](results/{folder.name}/{path.name})"
        for kind in _PICTURES
        for path in sorted(folder.glob(f"{kind}*.png"))
    )
    return f"""## {folder.name}

    {environment}.venv/bin/sklenet study benchmarks/studies/{folder.name}.toml

{markdown(results)}{_classes(results) if folder.name in _BY_CLASS else ""}
{pictures}

{made(results)}{page if folder.name in _PAGES else ""}
"""


def _classes(results: Results) -> str:
    """Return each digit's precision and recall, and the confusion matrix."""
    ((data, setting),) = {(r["data"], r["setting"]) for r in results.fit_records}
    confusion = results.confusion(data, setting)
    names = [str(digit) for digit in range(len(confusion))]
    report = per_class(confusion, names).to_markdown(index=False, floatfmt=".4f")
    guesses = pd.DataFrame(confusion, columns=names)
    guesses.insert(0, "", names)
    return f"""
By class, on the test images, the sum of {len(results.fit_records)} seeds:

{report}

What they are (rows) and what they were taken for:

{guesses.to_markdown(index=False)}
"""


def _augmentation(records: list[dict]) -> str:
    run, epochs = records[0], records[1:]
    plain = next(row for row in epochs if row["augment"] is None)
    lines = ["| name | amount | what it is | cost |", "| --- | --- | --- | --- |"]
    for row in epochs:
        if row["augment"] is not None:
            amount = AUGMENTATIONS[row["augment"]]
            ratios = [a / b for a, b in zip(row["seconds"], plain["seconds"], strict=True)]
            lines.append(
                f"| `{row['augment']}` | {amount.default:g} | {amount.what} |"
                f" {row['median_ratio']:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
            )
    head = _AUGMENTATION_HEAD.replace("REPEATS", str(run["repeats"]))
    return "\n".join([head, *lines, "", where(run)]) + "\n"


def _conformance(records: list[dict]) -> str:
    run, outcomes = records[0], records[1:]
    classifiers = list(dict.fromkeys(outcome["classifier"] for outcome in outcomes))
    parts = [_CONFORMANCE_HEAD]
    for kind, title in (("wrapper", "Wrappers"), ("check", "scikit-learn's checks")):
        of_kind = [o for o in outcomes if o["kind"] == kind]
        totals = [
            _outcome([o for o in of_kind if o["classifier"] == name])
            for name in classifiers
        ]
        lines = [
            f"| {kind} | {' | '.join(classifiers)} |",
            "| --- " * (1 + len(classifiers)) + "|",
        ]
        lines.append(f"| **all** | {' | '.join(f'**{total}**' for total in totals)} |")
        for item in dict.fromkeys(o["name"] for o in of_kind):
            cells = [
                _outcome(
                    [o for o in of_kind if (o["classifier"], o["name"]) == (name, item)],
                    with_error=True,
                )
                for name in classifiers
            ]
            lines.append(f"| `{item}` | {' | '.join(cells)} |")
        parts += [f"## {title}\n", *lines, ""]
    parts.append(where(run))
    return "\n".join(parts) + "\n"


def _outcome(outcomes: list[dict], with_error: bool = False) -> str:
    """Return "3 passed, 1 failed: the first error"."""
    if not outcomes:
        return "not run: its tags exclude it"
    counts = Counter(outcome["status"] for outcome in outcomes)
    names = {"xfail": "expected failure"}
    text = ", ".join(f"{n} {names.get(status, status)}" for status, n in counts.items())
    failed = [o["error"] for o in outcomes if o["status"] == "failed"]
    if with_error and failed:
        error = re.sub(r"\s+", " ", failed[0]).replace("|", "\\|")
        text += f": {error[:100]}{'…' if len(error) > 100 else ''}"
    return text


def _refill(match: re.Match) -> str:
    tables = lenet5_1998.study_tables(match[2])
    return match[1] + "\n\n".join(tables) + f"\n{match[3]}"


if __name__ == "__main__":
    for path, text in render().items():
        path.write_text(text, encoding="utf-8")
        print("wrote", path.relative_to(ROOT))
