import os
import stat
import subprocess
import sys
import time

import pytest

from sklenet.study import StudyError
from sklenet.study.files import Files, replace_file


def test_each_file_by_itself(tmp_path):
    files = Files(tmp_path)
    assert files.write("a.md", lambda: "±")
    assert not files.write("b.md", lambda: [][0])
    assert files.write("c.png", lambda: b"\0")
    assert files.errors == ["b.md: IndexError: list index out of range"]
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "±"
    assert {p.name for p in tmp_path.iterdir()} - {"report.lock"} == {"a.md", "c.png"}
    with pytest.raises(StudyError, match=r"not written: b\.md: IndexError"):
        files.check()


def test_a_file_that_cannot_be_made_leaves_the_old_one(tmp_path):
    (tmp_path / "a.md").write_text("old")
    files = Files(tmp_path)
    assert not files.write("a.md", lambda: 1 / 0)
    assert not files.write("a.md", lambda: "\ud800")
    assert (tmp_path / "a.md").read_text() == "old"


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_regular_file_is_not_replaced(tmp_path, kind):
    path = tmp_path / "a.md"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        replace_file(path, b"")
    assert path.is_dir() or path.is_fifo()


def test_permissions_are_those_of_the_umask_which_stays(tmp_path):
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "a.md", b"")
        assert stat.S_IMODE((tmp_path / "a.md").stat().st_mode) == 0o640
        now = os.umask(0o027)
    finally:
        os.umask(before)
    assert now == 0o027


WRITER = """
import os, sys, pathlib
from sklenet.study import files
os.fsync = lambda descriptor: (print("writing", flush=True), input())
files.replace_file(pathlib.Path(sys.argv[1]), b"new" * 1000)
"""


def test_a_killed_writer_s_file_is_removed_by_the_next_write(tmp_path):
    path = tmp_path / "table.md"
    path.write_bytes(b"old")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"writing\n"
    process.kill()
    process.communicate()
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.glob(".*.part"))) == 1
    time.sleep(0.1)
    replace_file(tmp_path / "other.md", b"")
    assert list(tmp_path.glob(".*.part")) == []
