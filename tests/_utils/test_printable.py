import pytest

from sklenet._utils.printable import make_printable


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain, Ünïcode, 数字, ±", "plain, Ünïcode, 数字, ±"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd\0", "a\\nb\\tc\\rd\\x00"),
        ("right-to-left \u202e", "right-to-left \\u202e"),
        ("C1 \x9b2J", "C1 \\x9b2J"),
        ("a file \udcff name", "a file \\udcff name"),
        ("no character \uffff\U0001ffff", "no character \\uffff\\U0001ffff"),
        ("lines \u2028\u2029", "lines \\u2028\\u2029"),
        ("joined \u200d, wide\u3000space", "joined \u200d, wide\u3000space"),
    ],
)
def test_printable(text, wanted):
    assert make_printable(text) == wanted
    wanted.encode("utf-8")


def test_what_is_kept():
    assert make_printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"
