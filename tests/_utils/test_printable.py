import pytest

from sklenet._utils.printable import make_printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, Ünïcode, 数字, ±", "plain, Ünïcode, 数字, ±"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd\0", "a\\nb\\tc\\rd\\x00"),
        ("right-to-left \u202e", "right-to-left \\u202e"),
        ("C1 \x9b2J", "C1 \\x9b2J"),
        ("a file \udcff name", "a file \\udcff name"),
        ("noncharacter \uffff\U0001ffff", "noncharacter \\uffff\\U0001ffff"),
        ("lines \u2028\u2029", "lines \\u2028\\u2029"),
        ("joined \u200d, wide\u3000space", "joined \u200d, wide\u3000space"),
    ],
)
def test_unsafe_characters_are_escaped(text, expected):
    assert make_printable(text) == expected
    expected.encode("utf-8")


def test_characters_to_keep():
    assert make_printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"
