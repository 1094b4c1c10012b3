"""`__all__`, the reference, the map of the code and the docstrings agree."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from sklenet import LeNet5Classifier, preprocessing

DOCS = Path(__file__).parents[1] / "docs"

# The modules that users import from, and the sections of docs/map.md that list their names.
PUBLIC = {
    "sklenet": ["The estimator"],
    "sklenet.datasets": ["`datasets/`"],
    "sklenet.display": ["`display/`"],
    "sklenet.framing": ["`framing/`"],
    "sklenet.presets": ["The estimator"],
    "sklenet.preprocessing": ["`preprocessing/`"],
    "sklenet.study": ["`study/config/`", "`study/engine/`", "`study/report/`"],
}
SECTION = re.compile(r"^([A-Z]\w+)\n-+$", re.M)

ESTIMATORS = [LeNet5Classifier(max_epochs=1, random_state=0)] + [
    getattr(preprocessing, name)() for name in preprocessing.__all__
]
# Attributes of every estimator, which scikit-learn's glossary describes.
OF_EVERY_ESTIMATOR = {"n_features_in_", "feature_names_in_"}


def names_of(module):
    """Return the names in `__all__`, without `__version__`."""
    names = importlib.import_module(module).__all__
    return {name for name in names if not name.startswith("__")}


def names_in_reference():
    """Return the names of each module in docs/api.rst."""
    found = {}
    module = None
    for line in (DOCS / "api.rst").read_text().splitlines():
        if match := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = match[1]
        elif match := re.match(r"   (\w+)$", line):
            found.setdefault(module, set()).add(match[1])
    return found


def sections_of_the_map():
    """Return the text of each section of docs/map.md by its heading, without the title."""
    parts = re.split(r"^### (.*)\n", (DOCS / "map.md").read_text(), flags=re.M)
    headings = [heading.split(":")[0] for heading in parts[1::2]]
    return dict(zip(headings, parts[2::2], strict=True))


def public_objects():
    """Return all public objects, with the methods that sklenet defines, by name."""
    found = []
    for module in PUBLIC:
        for name in sorted(names_of(module)):
            item = getattr(importlib.import_module(module), name)
            found.append((f"{module}.{name}", item))
            if not inspect.isclass(item) or issubclass(item, Exception):
                continue
            for method, function in inspect.getmembers(item, inspect.isroutine):
                is_ours = str(getattr(function, "__module__", "")).startswith("sklenet")
                if is_ours and not method.startswith("_"):
                    found.append((f"{module}.{name}.{method}", function))
    return found


OBJECTS = public_objects()


def sections_of(docstring):
    """Return the text of each numpydoc section of a docstring by its heading."""
    parts = SECTION.split(docstring)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def names_in(section, docstring):
    """Return the parameters or attributes that a section of a docstring describes."""
    text = sections_of(docstring).get(section, "")
    lines = re.findall(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :.*)?$", text, re.M)
    return [name.lstrip("*") for line in lines for name in line.split(", ")]


def test_the_reference_lists_the_public_names():
    assert names_in_reference() == {module: names_of(module) for module in PUBLIC}


@pytest.mark.parametrize("module", PUBLIC)
def test_all_lists_every_public_name_once(module):
    namespace = vars(importlib.import_module(module))
    defined_here = {
        name
        for name, value in namespace.items()
        if getattr(value, "__module__", None) == module and not name.startswith("_")
    }
    listed = namespace["__all__"]
    assert len(set(listed)) == len(listed)
    assert defined_here <= set(listed) <= set(namespace)


@pytest.mark.parametrize("module", PUBLIC)
def test_the_map_lists_the_public_names(module):
    sections = sections_of_the_map()
    text = "".join(sections[heading] for heading in PUBLIC[module])
    for name in names_of(module):
        assert f"`{name}`" in text, f"docs/map.md, {PUBLIC[module]}: {name}"


@pytest.mark.parametrize(("name", "item"), OBJECTS, ids=[name for name, _ in OBJECTS])
def test_docstrings_follow_numpydoc(name, item):
    docstring = inspect.getdoc(item)
    assert docstring, "no docstring"
    summary = docstring.split("\n\n")[0]
    assert summary[0].isupper(), "the summary does not start with a capital letter"
    assert summary.endswith("."), "the summary does not end with a period"
    if inspect.isclass(item) and issubclass(item, Exception):
        return
    parameters = [
        parameter
        for parameter in inspect.signature(item).parameters
        if parameter not in ("self", "cls")
    ]
    assert names_in("Parameters", docstring) == parameters
    returns = inspect.signature(item).return_annotation
    if not inspect.isclass(item) and returns not in (inspect.Signature.empty, None):
        assert {"Returns", "Yields"} & set(sections_of(docstring)), "no Returns section"


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_fitted_attributes_are_documented(estimator, digits):
    X, y, *_ = digits
    estimator.fit(X[:60], y[:60])
    fitted = {
        name
        for name in dir(estimator)
        if re.fullmatch(r"[a-z]\w*_", name) and hasattr(estimator, name)
    }
    documented = set(names_in("Attributes", inspect.getdoc(type(estimator))))
    assert fitted - OF_EVERY_ESTIMATOR == documented - OF_EVERY_ESTIMATOR
