import io
import sys

import pytest

from sklenet.cli.output import write_text


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "Größe 数字 ± 😀\n"),
        ("latin-1", "Größe \\u6570\\u5b57 ± \\U0001f600\n"),
        ("ascii", "Gr\\xf6\\xdfe \\u6570\\u5b57 +/- \\U0001f600\n"),
    ],
)
def test_write_text_escapes_what_the_encoding_lacks(encoding, expected):
    content = io.BytesIO()
    with io.TextIOWrapper(content, encoding=encoding, newline="\n") as stream:
        write_text("Größe 数字 ± 😀", stream)
        assert content.getvalue().decode(encoding) == expected


def test_write_text_does_not_change_ordinary_text(capsys):
    write_text("one ±\ntwo", sys.stdout)
    assert capsys.readouterr().out == "one ±\ntwo\n"
