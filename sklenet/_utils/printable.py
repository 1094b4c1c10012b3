"""Text from files and file names, made safe to print and to write to files."""

import unicodedata

# Unicode categories: control and format characters, surrogates, line and paragraph
# separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Format characters that Persian, Indic scripts and emoji need.
_JOINERS = frozenset("\u200c\u200d")


def make_printable(text: object, keep: str = "") -> str:
    """Escape characters that a terminal, a table or an XML file would interpret.

    Names can come from untrusted files: an escape sequence in a name could rewrite the
    screen, and a control character would make an SVG file invalid.

    Parameters
    ----------
    text : object
        Text, or an object that is converted by ``str``, such as a path or an exception.
    keep : str, default=""
        Control characters to leave unchanged, such as ``"\\n"``.

    Returns
    -------
    str
        Text in which these characters are replaced by Python's escape sequences, such as
        ``\\x1b``.
    """
    text = str(text)
    if text.isprintable():  # the common case, in one pass
        return text
    return "".join(
        character if character in keep or _is_safe(character) else _escape(character)
        for character in text
    )


def _is_safe(character: str) -> bool:
    if character in _JOINERS:
        return True
    is_noncharacter = (
        ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    )
    return not is_noncharacter and unicodedata.category(character) not in _UNSAFE_CATEGORIES


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
