"""Text from files and file names, made safe to print and to write."""

import unicodedata

# Control and format characters, surrogates, and separators of lines and paragraphs. The
# joiners of Persian and Indic scripts, and of emoji, are the exception.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")


def make_printable(text: object, keep: str = "") -> str:
    """Replace characters that a terminal, a table or an XML file would interpret.

    Names come from files that somebody else may have written: an escape sequence in one
    could rewrite the screen, and a control character makes an SVG file invalid.

    Parameters
    ----------
    text : object
        Text, or what ``str`` makes text of, such as a path or an exception.
    keep : str, default=""
        Control characters to leave in place, such as ``"\\n"``.

    Returns
    -------
    str
        With each such character as Python writes it in a string: ``\\x1b``.
    """
    text = str(text)
    if text.isprintable():  # the usual case, in one pass
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
    return not is_noncharacter and unicodedata.category(character) not in _UNSAFE


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
