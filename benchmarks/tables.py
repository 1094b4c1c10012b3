"""Write the documents that hold figures, from the committed records.

    python benchmarks/tables.py

rewrites ``benchmarks/README.md`` and, in ``README.md``, what stands between the comments
``<!-- records: NAME -->`` and ``<!-- end -->``: the table of the study NAME.
"""

import re
from pathlib import Path

from sklenet.study.report import CURVES, load, markdown, test_table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

_HEAD = """# Benchmarks

<!-- Made from the records by `make tables`; not to be edited. -->

Each study is one TOML file in this folder, its records, table and learning curves are in
`results/<study>/`. A published figure is a claim to test: ours stands beside it. Settings
are chosen on validation data; the test set is scored once per seed, after the last epoch.
"""

_MARKED = re.compile(r"(<!-- records: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render() -> dict[Path, str]:
    """Return the text of each document that holds figures."""
    readme = ROOT / "README.md"
    return {
        ROOT / "benchmarks" / "README.md": "\n".join([_HEAD, *map(_section, _studies())]),
        readme: _MARKED.sub(_refill, readme.read_text(encoding="utf-8")),
    }


def _studies() -> list[Path]:
    return sorted(path.parent for path in RESULTS.glob("*/records.jsonl"))


def _section(folder: Path) -> str:
    records = load(folder)
    run = records[0]
    machine = run["machine"]
    environment = "SKLENET_DATA=ROOT " if run["study"]["data"] != ["digits"] else ""
    return f"""## {folder.name}

    {environment}.venv/bin/sklenet study benchmarks/{folder.name}.toml

{markdown(records)}
![Learning curves](results/{folder.name}/{CURVES})

{run["started"][:10]}, revision `{(run["revision"] or "unknown")[:12]}`, {machine["cpu"]}
({machine["cores"]} cores), torch {run["versions"]["torch"]}, scikit-learn
{run["versions"]["scikit-learn"]}.
"""


def _refill(match: re.Match) -> str:
    table = test_table(load(RESULTS / match[2]))
    return f"{match[1]}{table}\n{match[3]}"


if __name__ == "__main__":
    for path, text in render().items():
        path.write_text(text, encoding="utf-8")
        print("wrote", path.relative_to(ROOT))
