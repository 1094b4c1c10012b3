"""Every dependency is pinned in constraints.txt."""

from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
)


def find_dependencies(name, extras=()):
    """Return the names of all direct and indirect dependencies of an installed package."""
    found, todo = set(), [(name, frozenset(extras))]
    seen = set()
    while todo:
        package, wanted = todo.pop()
        if (package, wanted) in seen:
            continue
        seen.add((package, wanted))
        try:
            requirements = requires(package) or []
        except PackageNotFoundError:
            continue  # only an extra needs it, and that is not installed
        for text in requirements:
            requirement = Requirement(text)
            markers = [{"extra": extra} for extra in wanted] or [{"extra": ""}]
            if requirement.marker is None or any(
                requirement.marker.evaluate(m) for m in markers
            ):
                found.add(canonicalize_name(requirement.name))
                todo.append(
                    (canonicalize_name(requirement.name), frozenset(requirement.extras))
                )
    return found


def test_every_package_is_pinned():
    pinned = {canonicalize_name(name) for name in PINS}
    names = find_dependencies("sklenet", ["tests", "docs"])
    assert {"torch", "polars", "rich", "sphinx", "markdown-it-py"} <= names | pinned
    assert names - pinned <= {"sklenet"}
