"""The structure of the package: imports go one way, and the map is complete."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sklenet"

# From the inside out; a module may import from its own entry and from those before it.
LAYERS = [
    {
        "_printable",
        "_torchvision",
        "_files",
        "_writing",
        "_descriptions",
        "inputs",
        "images",
        "image_files",
    },
    {"image_folder"},
    {"network"},
    {"training"},
    {"datasets", "preprocessing"},
    {"framing"},
    {
        "labels",
        "columns",
        "pixel_range",
        "checks",
        "saved",
        "persistence",
        "export",
        "summary",
    },
    {"fitted"},
    {"estimator"},
    {"presets", "display", "rejection"},
    {"study"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported_modules(path):
    """Yield the names under sklenet that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "sklenet" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        return
    for name in imported_modules(path):
        assert LEVEL[name] <= LEVEL[own], f"{path} imports sklenet.{name}"


def test_every_module_has_a_level():
    modules = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in FILES}
    assert modules - {"__init__", "__main__"} == set(LEVEL)


def test_the_map_names_every_module():
    text = (PACKAGE.parent / "docs" / "map.md").read_text()
    for path in FILES:
        if path.name.startswith("__"):
            continue
        assert f"`{path.name}`" in text or f"{path.relative_to(PACKAGE)}`" in text, path


def test_test_files_have_different_names():
    """pytest imports them by their names alone."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert len(set(names)) == len(names)
