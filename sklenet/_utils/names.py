"""Suggestions for unknown names."""

import difflib
from collections.abc import Iterable


def suggest_similar(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean '...'?" if one of the known names is similar, and "" if not."""
    by_lower_case = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name[:200].lower(), by_lower_case, n=1)
    return f" Did you mean {by_lower_case[close[0]]!r}?" if close else ""
