"""Writing files atomically: a file has its old content or its new one, never a part."""

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
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

# The ending of the temporary files, by which the leftovers of a killed process are found.
TEMPORARY_SUFFIX = ".sklenet-temporary"

_ANY_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def check_writable(path: str | os.PathLike) -> Path:
    """Check that `path` can be written to as a regular file.

    The permission bits hold for the superuser, too: a file or a folder that nobody may
    write to is left alone.

    Parameters
    ----------
    path : str or path-like
        A symbolic link stands for the file it points to.

    Returns
    -------
    Path
        The file to write, with symbolic links resolved.

    Raises
    ------
    OSError
        If there is something other than a regular file, such as a directory, a device or
        a named pipe; if it, or its folder, is read-only; if there is no such folder; or if
        symbolic links form a loop.
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
                errno.EINVAL, "Can write to a regular file only, not a device", str(path)
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
    """Write a regular file as a whole or not at all.

    The content is written to a temporary file in the same folder, which replaces `path`
    when the ``with`` block ends without an exception and is removed otherwise. Temporary
    files that killed processes left in the folder are removed as well.

    Permissions are those that ``open(path, "wb")`` would give: those of the file that is
    replaced, or those of a new file. A symbolic link is kept; the file it points to is
    replaced.

    Parameters
    ----------
    path : str or path-like

    Yields
    ------
    binary file
        The temporary file, open for writing; its ``name`` is its path.

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
        # Before it is closed, which gives up the lock that keeps others from removing it.
        os.replace(file.name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file.name)
        raise
    finally:
        file.close()


def write_file(path: str | os.PathLike, content: bytes | str) -> None:
    """Write `content` to `path` as `replace_file` does; text is encoded as UTF-8."""
    if isinstance(content, str):
        content = content.encode()
    with replace_file(path) as file:
        file.write(content)


def _open_temporary(target: Path) -> BinaryIO:
    """Return a new file beside `target`, locked as long as it is open."""
    while True:
        # A name has at most 255 bytes, and a character of it at most four.
        name = f".{target.name[:40]}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
        # The system applies the umask, which can only be read by changing it.
        file = open(target.with_name(name), "x+b")  # noqa: SIM115
        _try_lock(file.fileno(), wait=True)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another process removed it before it was locked


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in `folder` that no living process is writing."""
    with os.scandir(folder) as entries:
        names = [entry.path for entry in entries if entry.name.endswith(TEMPORARY_SUFFIX)]
    for name in names:
        with contextlib.suppress(OSError):  # it is gone, or belongs to somebody else
            _remove_if_unlocked(name)


def _remove_if_unlocked(path: str) -> None:
    if fcntl is None:  # Windows does not remove a file that is open
        os.unlink(path)
        return
    # A pipe of such a name would block, and a link would lead elsewhere.
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if is_file and _try_lock(descriptor, wait=False):
            os.unlink(path)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file; return whether it is locked.

    The lock ends with the process, however it ends. On a file system without locks there
    is none: temporary files are then not removed by others.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
