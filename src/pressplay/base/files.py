"""Files under a root that somebody else may have filled: no link leads out of it.

A step's output folder is written by code that is not ours. A link `out/result.json -> /etc/shadow`
must not make us read, copy or overwrite what it points to. Copies walk by file descriptor, so that
a link put there between a look and an open is not followed either.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from pressplay.base.errors import Refused

MAX_DEPTH = 64
"""Folders inside folders that a copy goes down; a deeper tree is somebody's trap."""

_SHALLOW = 12
"""Levels whose names, however long, still make a path that the kernel takes (PATH_MAX 4096)."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY
_CHUNK = 1024 * 1024
_RANGE = 128 * _CHUNK
_NOT_BY_KERNEL = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)

# Source: linux/fs.h, and chattr(1) for the letter T.
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_UNRELATED = 0x00020000

_Entry: TypeAlias = tuple[int, str]
"""A folder's descriptor, and a name in it."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def spread(folder: Path) -> None:
    """Tell the file system that the folders in `folder` have nothing to do with each other.

    ext4 then puts each of them, with its files, into a block group of its own. Where all lie in
    one, and many files were removed a short while ago, a new file takes up to twenty times as
    long: ext4 gives no inode out again for some minutes, and passes over each that it meets.
    A file system that has no such hint is left as it is.
    """
    flags = array.array("I", [0])
    with _closing(os.open(folder, _FOLDER)) as opened, suppress(OSError):
        fcntl.ioctl(opened, _GET_FLAGS, flags)
        flags[0] |= _UNRELATED
        fcntl.ioctl(opened, _SET_FLAGS, flags)


def beneath(root: Path, path: str | PurePosixPath) -> Path:
    """The host path of `path` (as seen from `root`), refusing `..` and every link on the way.

    The file itself need not exist. Raises Refused.
    """
    current = root
    for part in _parts(path):
        current = current / part
        if current.is_symlink():
            raise Refused(f"Path {path} passes through a symbolic link at {part}; use a plain file")
    return current


def open_beneath(root: Path, path: str | PurePosixPath) -> int | None:
    """A descriptor of the plain file or folder at `path` beneath `root`; None if it is not there.

    The caller closes it. Raises Refused for a link on the way, or for what is neither file nor
    folder (a pipe would block its reader).
    """
    parts = _parts(path)
    try:
        current = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    for part in parts:
        try:
            following = os.open(part, _READ, dir_fd=current)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _refusal(path, part, error) from error
        finally:
            os.close(current)
        current = following
    if not _is_plain(os.fstat(current).st_mode):
        os.close(current)
        raise Refused(f"Path {path} is neither a file nor a folder; write a plain file")
    return current


def kind_beneath(root: Path, path: str | PurePosixPath) -> Literal["file", "folder"] | None:
    """What is at `path` beneath `root`; None for nothing, a link, or what is neither."""
    try:
        opened = open_beneath(root, path)
    except Refused:
        return None
    if opened is None:
        return None
    with _closing(opened):
        return "folder" if stat.S_ISDIR(os.fstat(opened).st_mode) else "file"


def read_beneath(root: Path, path: str | PurePosixPath, *, limit: int) -> bytes | None:
    """The first `limit` bytes of the file at `path`; None if there is no file. Raises Refused."""
    opened = open_beneath(root, path)
    if opened is None:
        return None
    with _closing(opened):
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            return None
        with os.fdopen(opened, "rb", closefd=False) as reader:
            return reader.read(limit)


def copy_beneath(source_root: Path, path: str | PurePosixPath, target: Path) -> bool:
    """Copy the file or folder at `path` beneath `source_root` to `target`; False if there is none.

    Links, sockets and devices inside a folder are left out. A folder merges into an existing one,
    as objects with one prefix do in an object store. Raises Refused.
    """
    source = open_beneath(source_root, path)
    if source is None:
        return False
    with _closing(source):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _closing(os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)) as folder:
            _copy(source, folder, target.name)
    return True


def move_beneath(source_root: Path, path: str | PurePosixPath, target: Path) -> bool:
    """As `copy_beneath`, but files leave their old place, where nobody can tell the difference.

    They are copied where they have another name as well, notes of their own, or another file
    system to go to. To be called when all that could write to them has ended.
    """
    source = open_beneath(source_root, path)
    if source is None:
        return False
    *folders, name = _parts(path) or [""]
    with _closing(source), ExitStack() as stack:
        folder = open_beneath(source_root, PurePosixPath(*folders)) if name else None
        if folder is not None:
            stack.enter_context(_closing(folder))
        target.parent.mkdir(parents=True, exist_ok=True)
        with _closing(os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)) as goal:
            _copy(source, goal, target.name, origin=None if folder is None else (folder, name))
    return True


def copy_plain(source: Path, target: Path) -> None:
    """Copy plain files and folders only, keeping the permission bits' executable part."""
    if _is_plain(source.lstat().st_mode):
        copy_beneath(source.parent, source.name, target)


def place_beneath(source: Path, root: Path, path: str | PurePosixPath) -> None:
    """Copy the file or folder `source` to `path` beneath `root`, which others may have filled.

    Parent folders are made. What is in the way of a file is replaced, never written through.
    Raises Refused for a link on the way.
    """
    opened = open_beneath(source.parent, source.name)
    if opened is None:
        raise Refused(f"There is nothing to copy at {source}")
    with _closing(opened), _parent_of(root, path) as (folder, name):
        _copy(opened, folder, name)


def write_beneath(
    root: Path, path: str | PurePosixPath, content: bytes, *, mode: int = 0o644
) -> None:
    """Write a file at `path` beneath `root`; as `place_beneath` in all else."""
    with _parent_of(root, path) as (folder, name):
        descriptor = _create(name, folder, mode)
        with os.fdopen(descriptor, "wb") as writer:
            writer.write(content)


def make_beneath(root: Path, path: str | PurePosixPath) -> None:
    """Make the folder `path` and its parents beneath `root`. Raises Refused for a link."""
    os.close(_make_folders(root, _parts(path), path))


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` so that a reader sees the old content or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as writer:
            writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
        temporary = Path(name)
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_tree(root: Path) -> None:
    """Remove a folder with everything in it, whatever its names, modes and depth are.

    A step may nest folders deeper than a path is long, or take its own permissions away: what is
    too deep is first moved to the top. Nothing happens if the folder is not there.
    """
    try:
        mode = root.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        empty_tree(root)
        root.rmdir()
    else:
        root.unlink()


def empty_tree(root: Path) -> None:
    """Remove all that is in a folder, as `remove_tree` does."""
    root.chmod(0o700)
    top = str(root)
    while _empty(top, top, depth=0):
        continue


def _parts(path: str | PurePosixPath) -> list[str]:
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "//")]
    if ".." in parts or "\0" in str(path):
        raise Refused(f"Path {path!s} leaves its folder; write it without '..'")
    return parts


def _is_plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _refusal(path: str | PurePosixPath, part: str, error: OSError) -> Refused:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return Refused(
            f"Path {path} passes through a symbolic link or a file at {part}; use plain folders"
        )
    return Refused(f"Path {path} cannot be opened at {part}: {error.strerror}")


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _parent_of(root: Path, path: str | PurePosixPath) -> Iterator[tuple[int, str]]:
    *folders, name = _parts(path) or [""]
    if not name:
        raise Refused(f"Path {path} names no file")
    with _closing(_make_folders(root, folders, path)) as folder:
        yield folder, name


def _make_folders(root: Path, parts: Sequence[str], path: str | PurePosixPath) -> int:
    try:
        current = os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError as error:
        raise _refusal(path, root.name, error) from error
    for part in parts:
        try:
            following = _make_folder(part, current)
        except OSError as error:
            raise _refusal(path, part, error) from error
        finally:
            os.close(current)
        current = following
    return current


def _make_folder(name: str, folder: int) -> int:
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=folder)
    return os.open(name, _FOLDER, dir_fd=folder)


def _copy(
    source: int, folder: int, name: str, *, origin: _Entry | None = None, depth: int = 0
) -> None:
    """Copy a file or folder; files are moved where `origin` says in which folder they are, and how
    they are called there.
    """
    mode = os.fstat(source).st_mode
    if stat.S_ISDIR(mode):
        _copy_folder(source, folder, name, is_moving=origin is not None, depth=depth)
        return
    if origin is not None and _move(source, origin, (folder, name)):
        return
    with _closing(_create(name, folder, _mode_of_copy(mode))) as target:
        _copy_content(source, target)


def _move(source: int, origin: _Entry, goal: _Entry) -> bool:
    """Whether the open file `source` could go to its new place itself, and went."""
    status = os.fstat(source)
    # Through another name it could change later; access lists and notes nobody has asked for.
    if status.st_nlink != 1 or _has_attributes(source):
        return False
    try:
        os.rename(origin[1], goal[1], src_dir_fd=origin[0], dst_dir_fd=goal[0])
    except OSError:
        # Another file system, a folder in the way: to copy works, or says what is wrong.
        return False
    os.fchmod(source, _mode_of_copy(status.st_mode))
    return True


def _has_attributes(source: int) -> bool:
    """Whether a file has those extended attributes that an ordinary user can set."""
    try:
        return any(name.startswith(("user.", "system.")) for name in os.listxattr(source))
    except OSError:
        return False


def _mode_of_copy(mode: int) -> int:
    return 0o755 if mode & 0o111 else 0o644


def _copy_content(source: int, target: int) -> None:
    """Let the kernel copy, or the file system share the blocks, where it can.

    Both descriptors move on by what is copied, so that the rest can be copied by hand.
    """
    try:
        while os.copy_file_range(source, target, _RANGE):
            continue
    except OSError as error:
        if error.errno not in _NOT_BY_KERNEL:
            raise
        with (
            os.fdopen(target, "wb", closefd=False) as writer,
            os.fdopen(source, "rb", closefd=False) as reader,
        ):
            shutil.copyfileobj(reader, writer, _CHUNK)


def _copy_folder(source: int, folder: int, name: str, *, is_moving: bool, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise Refused(f"Folder {name} is nested deeper than {MAX_DEPTH} levels; make it flatter")
    try:
        target = _make_folder(name, folder)
    except OSError as error:
        raise _refusal(name, name, error) from error
    with _closing(target):
        for each in sorted(os.listdir(source)):
            entry = _open_entry(each, source)
            if entry is not None:
                with _closing(entry):
                    origin = (source, each) if is_moving else None
                    _copy(entry, target, each, origin=origin, depth=depth + 1)


def _open_entry(name: str, folder: int) -> int | None:
    """A descriptor of a plain file or folder; None for what is neither."""
    try:
        entry = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENOENT):
            return None
        raise _refusal(name, name, error) from error
    if _is_plain(os.fstat(entry).st_mode):
        return entry
    os.close(entry)
    return None


def _create(name: str, folder: int, mode: int) -> int:
    """A new file; what had the name is removed, for it may be a link, a pipe, or shared."""
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        target = os.open(name, _CREATE, mode, dir_fd=folder)
    except OSError as error:
        raise Refused(f"File {name} cannot be written here: {error.strerror}") from error
    os.fchmod(target, mode)
    return target


def _empty(folder: str, top: str, *, depth: int) -> bool:
    """Remove what is in `folder`; True if something too deep was moved to `top` instead."""
    was_moved = False
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)  # noqa: PTH108 - a Path for each entry doubles the time
            continue
        os.chmod(entry.path, 0o700)  # noqa: PTH101 - see above
        if depth == _SHALLOW:
            os.rename(entry.path, f"{top}/{secrets.token_hex(8)}")  # noqa: PTH104 - see above
            was_moved = True
        else:
            was_moved |= _empty(entry.path, top, depth=depth + 1)
            os.rmdir(entry.path)  # noqa: PTH106 - see above
    return was_moved
