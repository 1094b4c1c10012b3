"""Suggestions for unknown names."""

import difflib
from collections.abc import Iterable


def suggest_similar(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean '...'?" if one of the known names is similar, and "" if not."""
    close = difflib.get_close_matches(name[:200], list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
