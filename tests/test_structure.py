"""Imports between packages go one way, and docs/map.md names every file."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sklenet"

# A module imports from its own package and from packages in earlier lines only.
LAYERS = [
    {"_utils"},
    {"images"},
    {"datasets", "preprocessing", "network"},
    {"framing", "training"},
    {"page"},
    {"persistence"},
    {"estimator"},
    {"pretrained"},
    {"presets", "display"},
    {"study.config"},
    {"study.engine"},
    {"study.report"},
    {"cli"},
]
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE / "study"]


def package_of(module):
    """Return the package of a module of sklenet, such as "study.engine", or None."""
    parts = module.split(".")
    if parts[0] != "sklenet" or len(parts) < 2:
        return None
    return ".".join(parts[1:3]) if parts[1] == "study" else parts[1]


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported_packages(path):
    """Yield the packages of sklenet that a file imports from, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if (package := package_of(name)) is not None:
                yield package


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_one_way(path):
    own = package_of(module_of(path))
    if own in ("__init__", "__main__"):
        return
    for package in imported_packages(path):
        if package != own:
            assert LEVEL[package] < LEVEL[own], f"{path} imports from sklenet.{package}"


def test_every_module_is_in_a_layer():
    packages = {package_of(module_of(path)) for path in FILES}
    assert packages - {"__init__", "__main__"} == set(LEVEL)


def test_the_map_names_every_file():
    text = (ROOT / "docs" / "map.md").read_text()
    modules = [*PACKAGE.rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    for path in modules:
        if path.name.startswith("__"):
            continue
        names = {path.name, f"{path.parent.name}/{path.name}"}
        assert any(f"`{name}`" in text for name in names), path


def test_test_files_have_different_names():
    # pytest imports test files by their names alone.
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert len(set(names)) == len(names)
