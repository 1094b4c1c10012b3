"""Atomic writes: only regular files are replaced, completely, without leftovers."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import sklenet._utils.writing
from sklenet._utils.writing import (
    TEMPORARY_SUFFIX,
    check_writable,
    replace_file,
    write_file,
)

# Import the module alone, so that child processes do not import torch.
IMPORT = (
    f"import sys; sys.path.insert(0, {str(Path(sklenet._utils.writing.__file__).parent)!r})"
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_device_link(path):
    path.symlink_to("/dev/null")


def make_loop(path):
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def make_read_only(path):
    path.write_bytes(b"old")
    path.chmod(0o444)


def make_folder(path):
    path.mkdir()


UNWRITABLE = [
    make_fifo,
    make_socket,
    make_device_link,
    make_loop,
    make_read_only,
    make_folder,
]


@pytest.mark.parametrize("make", UNWRITABLE)
@pytest.mark.parametrize("linked", [False, True])
def test_only_writable_regular_files_are_replaced(make, linked, tmp_path):
    path = tmp_path / "target"
    make(path)
    if linked:
        path = tmp_path / "link"
        path.symlink_to("target")
    before = names(tmp_path), os.lstat(path)
    with pytest.raises(OSError, match=path.name):
        check_writable(path)
    with pytest.raises(OSError, match=path.name):
        write_file(path, b"new")
    assert names(tmp_path) == before[0]
    assert os.path.samestat(os.lstat(path), before[1])


def test_devices_are_rejected():
    for path in ("/dev/null", "/dev/zero", "/dev/tty"):
        with pytest.raises(OSError, match=r"regular file|No such device"):
            write_file(path, b"new")
    assert not Path("/dev/null").is_file()


def test_the_folder_must_exist_and_be_writable(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_file(tmp_path / "nowhere" / "file", b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        write_file(tmp_path / "file" / "file", b"")
    (tmp_path / "folder").mkdir(mode=0o555)
    with pytest.raises(PermissionError, match="folder is read-only"):
        write_file(tmp_path / "folder" / "file", b"")


def test_a_link_is_kept_and_its_target_replaced(path):
    link = path.with_name("link")
    link.symlink_to("file")
    write_file(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    dangling = path.with_name("dangling")
    dangling.symlink_to("created")
    write_file(dangling, "new")
    assert path.with_name("created").read_text() == "new"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_mode_of_a_new_file_is_that_of_open(umask, tmp_path):
    script = (
        f"{IMPORT}; import os; from writing import write_file\n"
        f"os.umask({umask}); os.umask = None\n"  # it must not be called again
        "open('plain', 'w').close(); write_file('ours', b'')"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "ours")]
    assert modes[0] == modes[1] == 0o100666 & ~umask


def test_the_mode_of_an_existing_file_is_kept(path):
    path.chmod(0o640)
    write_file(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o640


def fail_while_writing(path, error):
    with replace_file(path) as file:
        file.write(b"half")
        raise error


def test_after_an_exception_the_old_file_is_unchanged(path):
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            fail_while_writing(path, error)
    assert path.read_bytes() == b"old"
    assert names(path.parent) == ["file"]


KILLED = f"""
{IMPORT}
from writing import replace_file
with replace_file(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_leftovers_of_killed_processes_are_removed_but_not_files_being_written(path):
    command = [sys.executable, "-c", KILLED, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen(command, **pipes) as killed,
        subprocess.Popen(command, **pipes) as living,
    ):
        killed.stdout.readline()
        living.stdout.readline()
        assert len(names(path.parent)) == 3
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert len(names(path.parent)) == 3
        write_file(
            path.with_name("another"), b"new"
        )  # removes the leftover of another file
        assert len(names(path.parent)) == 3  # this file and the one being written
        living.stdin.close()
        assert living.wait() == 0
    assert path.read_bytes() == b"half"
    assert names(path.parent) == ["another", "file"]


def test_other_things_with_the_suffix_of_leftovers_do_no_harm(path):
    os.mkfifo(path.with_name(f".pipe{TEMPORARY_SUFFIX}"))
    path.with_name(f".link{TEMPORARY_SUFFIX}").symlink_to("file")
    path.with_name(f".folder{TEMPORARY_SUFFIX}").mkdir()
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert len(names(path.parent)) == 4


def test_many_threads_can_write_into_the_same_folder(tmp_path):
    errors = []

    def write(k):
        try:
            for i in range(20):
                write_file(tmp_path / f"file{(k + i) % 3}", b"x" * 10_000)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert names(tmp_path) == ["file0", "file1", "file2"]
    assert all(p.stat().st_size == 10_000 for p in tmp_path.iterdir())


def test_file_names_of_the_maximum_length(tmp_path):
    write_file(tmp_path / ("ü" * 120), b"")
    assert len(names(tmp_path)) == 1
