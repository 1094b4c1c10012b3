import os

import pytest

from sklenet.study import StudyError
from sklenet.study.report.files import ReportFiles


def test_other_files_are_written_if_one_fails_to_render(tmp_path):
    files = ReportFiles(tmp_path)
    assert files.write("a.md", lambda: "±")
    assert not files.write("b.md", lambda: [][0])
    assert files.write("c.png", lambda: b"\0")
    assert files.errors == ["b.md: IndexError: list index out of range"]
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "±"
    assert {p.name for p in tmp_path.iterdir()} == {"a.md", "c.png"}
    with pytest.raises(StudyError, match=r"not written: b\.md: IndexError"):
        files.raise_errors()


def test_old_file_is_kept_if_the_new_one_cannot_be_made(tmp_path):
    (tmp_path / "a.md").write_text("old")
    files = ReportFiles(tmp_path)
    assert not files.write("a.md", lambda: 1 / 0)
    assert not files.write("a.md", lambda: "\ud800")
    assert (tmp_path / "a.md").read_text() == "old"


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_only_regular_files_are_replaced(tmp_path, kind):
    path = tmp_path / "a.md"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    files = ReportFiles(tmp_path)
    assert not files.write("a.md", lambda: "")
    assert path.is_dir() or path.is_fifo()
    assert "a.md" in files.errors[0]
