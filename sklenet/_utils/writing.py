"""Atomic writes: a file has its old content or its new content, never an incomplete one."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Suffix of the temporary files, by which those of a killed process are found.
TEMPORARY_SUFFIX = ".sklenet-temporary"

_ANY_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def check_writable(path: str | os.PathLike) -> Path:
    """Check that `path` can be written as a regular file.

    Permission bits are respected even for the superuser: a file or a folder without any
    write permission is not written to.

    Parameters
    ----------
    path : str or path-like
        Path of a file that may or may not exist. Symbolic links are followed.

    Returns
    -------
    Path
        Path of the file to write, with symbolic links resolved.

    Raises
    ------
    OSError
        If the path exists and is not a regular file (for example a directory, a device or
        a named pipe), if the file or its folder is read-only, if the folder does not exist,
        or if symbolic links form a loop.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    target = Path(os.path.realpath(path))
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "Cannot write to a directory", str(path))
        if not stat.S_ISREG(mode):
            raise OSError(
                errno.EINVAL, "Can only write to a regular file, not to a device", str(path)
            )
        if not mode & _ANY_WRITE or not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "The file is read-only", str(path))
    folder = target.parent
    folder_mode = os.stat(folder).st_mode  # raises FileNotFoundError
    if not stat.S_ISDIR(folder_mode):
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(folder))
    if not folder_mode & _ANY_WRITE or not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "The folder is read-only", str(folder))
    return target


@contextlib.contextmanager
def replace_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Write a regular file completely or not at all.

    The content is written to a temporary file in the same folder, which replaces `path`
    when the ``with`` block ends without an exception and is removed otherwise. Temporary
    files that killed processes left in the folder are removed as well.

    The permissions are the same as after ``open(path, "wb")``: those of the replaced file,
    or those of a new file. A symbolic link is kept, and the file it points to is replaced.

    Parameters
    ----------
    path : str or path-like
        Path of the file to write.

    Yields
    ------
    binary file
        Temporary file, open for writing; its ``name`` attribute is its path.

    Raises
    ------
    OSError
        If `path` cannot be written; see `check_writable`.
    """
    target = check_writable(path)
    _remove_leftovers(target.parent)
    file = _open_temporary(target)
    try:
        yield file
        file.flush()
        with contextlib.suppress(FileNotFoundError):
            before = target.stat()
            with contextlib.suppress(PermissionError):
                os.chown(file.name, before.st_uid, before.st_gid)
            os.chmod(file.name, before.st_mode & 0o777)
        os.fsync(file.fileno())
        # Closing the file first would release the lock that protects it from removal.
        os.replace(file.name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file.name)
        raise
    finally:
        file.close()


def write_file(path: str | os.PathLike, content: bytes | str) -> None:
    """Write `content` to `path` atomically; text is encoded as UTF-8."""
    if isinstance(content, str):
        content = content.encode()
    with replace_file(path) as file:
        file.write(content)


def _open_temporary(target: Path) -> BinaryIO:
    """Create a temporary file beside `target`, which is locked while it is open."""
    while True:
        # File names are limited to 255 bytes, and a character can take four of them.
        name = f".{target.name[:40]}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
        # `open` applies the umask; reading the umask would require changing it.
        file = open(target.with_name(name), "x+b")  # noqa: SIM115
        _try_lock(file.fileno(), wait=True)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another process removed it before it was locked


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files in `folder` that no running process is writing."""
    with os.scandir(folder) as entries:
        names = [entry.path for entry in entries if entry.name.endswith(TEMPORARY_SUFFIX)]
    for name in names:
        with contextlib.suppress(OSError):  # already removed, or another user's
            _remove_if_unlocked(name)


def _remove_if_unlocked(path: str) -> None:
    if fcntl is None:  # Windows does not remove open files
        os.unlink(path)
        return
    # Do not block on a pipe of such a name, and do not follow a link.
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if is_file and _try_lock(descriptor, wait=False):
            os.unlink(path)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file and return whether that succeeded.

    The operating system releases the lock when the process ends, even if it is killed.
    Files on file systems without locks are never locked, nor removed by other processes.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
