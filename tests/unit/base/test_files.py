from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base import files, processes
from pressplay.base.errors import Refused


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with a link, a pipe and a file, beside a secret."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    folder = tmp_path / "trap"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("fine")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "file-link").symlink_to(tmp_path / "secret" / "key")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize("path", ["link", "link/key", "file-link", "/link/key"])
def test_a_link_is_refused_by_every_way_in(trap: Path, tmp_path: Path, path: str) -> None:
    for attempt in (
        lambda: files.beneath(trap, path),
        lambda: files.open_beneath(trap, path),
        lambda: files.read_beneath(trap, path, limit=9),
        lambda: files.copy_beneath(trap, path, tmp_path / "stolen"),
    ):
        with pytest.raises(Refused, match="symbolic link"):
            attempt()
    assert files.kind_beneath(trap, path) is None


@pytest.mark.parametrize("path", ["../secret/key", "sub/../../secret/key", "a\0b"])
def test_a_path_that_leaves_is_refused(trap: Path, path: str) -> None:
    with pytest.raises(Refused, match="leaves its folder"):
        files.read_beneath(trap, path, limit=9)


@given(st.text(alphabet="./ab\0", max_size=12))
def test_no_path_finds_a_neighbour(path: str) -> None:
    """The root is one level below a folder that has `a` and `b`; the root itself is empty."""
    here = Path(__file__).parent
    try:
        found = files.kind_beneath(here / "no-such-folder", path)
    except Refused:
        return
    assert found is None


def test_plain_files_are_copied_and_the_rest_is_left_out(trap: Path, tmp_path: Path) -> None:
    (trap / "sub" / "file").chmod(0o4750)
    assert files.copy_beneath(trap, "/", tmp_path / "copy")
    found = sorted(
        str(each.relative_to(tmp_path / "copy")) for each in (tmp_path / "copy").rglob("*")
    )
    assert found == ["sub", "sub/file"]
    assert stat.S_IMODE((tmp_path / "copy" / "sub" / "file").stat().st_mode) == 0o755


def test_a_copy_merges_and_replaces_what_is_in_its_way(trap: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    (target / "sub").mkdir(parents=True)
    (target / "sub" / "kept").write_text("kept")
    (target / "sub" / "file").symlink_to(tmp_path / "secret" / "key")
    files.copy_plain(trap, target)
    assert (target / "sub" / "kept").read_text() == "kept"
    assert (target / "sub" / "file").read_text() == "fine"
    assert (tmp_path / "secret" / "key").read_text() == "secret"


def test_what_is_not_there_is_not_copied(trap: Path, tmp_path: Path) -> None:
    assert not files.copy_beneath(trap, "no", tmp_path / "copy")
    assert not files.copy_beneath(trap / "no", "x", tmp_path / "copy")
    assert not files.copy_beneath(trap, "sub/file/x", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_pipe_is_refused_without_waiting_for_its_writer(trap: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="neither a file nor a folder"):
        files.copy_beneath(trap, "pipe", tmp_path / "copy")


def test_reading_stops_at_the_limit(trap: Path) -> None:
    assert files.read_beneath(trap, "sub/file", limit=2) == b"fi"
    assert files.read_beneath(trap, "sub", limit=2) is None


def test_nothing_is_written_through_a_link(trap: Path, tmp_path: Path) -> None:
    files.write_beneath(trap, "file-link", b"replaced")
    assert (trap / "file-link").read_bytes() == b"replaced"
    with pytest.raises(Refused):
        files.write_beneath(trap, "link/key", b"stolen")
    with pytest.raises(Refused):
        files.place_beneath(trap / "sub", trap, "link")
    with pytest.raises(Refused):
        files.make_beneath(trap, "link/new")
    assert (tmp_path / "secret" / "key").read_text() == "secret"


def test_a_hard_link_in_the_way_is_cut_and_not_written_into(trap: Path, tmp_path: Path) -> None:
    (trap / "hard").hardlink_to(tmp_path / "secret" / "key")
    files.write_beneath(trap, "hard", b"replaced", mode=0o600)
    assert (tmp_path / "secret" / "key").read_text() == "secret"
    assert stat.S_IMODE((trap / "hard").stat().st_mode) == 0o600


def test_a_folder_is_not_replaced_by_a_file_nor_a_file_by_a_folder(trap: Path) -> None:
    with pytest.raises(Refused, match="cannot be written"):
        files.write_beneath(trap, "sub", b"")
    with pytest.raises(Refused):
        files.place_beneath(trap / "sub", trap, "sub/file")
    with pytest.raises(Refused, match="names no file"):
        files.write_beneath(trap, "/", b"")


def test_a_copy_of_a_bottomless_tree_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.joinpath(*["d"] * 100).mkdir(parents=True)
    with pytest.raises(Refused, match="nested deeper"):
        files.copy_beneath(tmp_path, "deep", tmp_path / "copy")


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    files.remove_tree(root)
    assert not root.exists()


def test_a_tree_without_permissions_is_removed_and_links_are_not_followed(
    trap: Path, tmp_path: Path
) -> None:
    (trap / "sub").chmod(0)
    trap.chmod(0)
    files.remove_tree(trap)
    assert not trap.exists()
    assert (tmp_path / "secret" / "key").exists()
    (tmp_path / "to-secret").symlink_to(tmp_path / "secret")
    files.remove_tree(tmp_path / "to-secret")
    assert (tmp_path / "secret" / "key").exists()
    files.remove_tree(tmp_path / "never-there")


def test_copies_leave_no_descriptor_open(trap: Path, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    files.copy_beneath(trap, "/", tmp_path / "copy")
    for path in ("link", "pipe", "no", "sub/file/x", "../x"):
        try:
            files.read_beneath(trap, path, limit=1)
        except Refused:
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_files_are_moved_as_they_would_be_copied(trap: Path, tmp_path: Path) -> None:
    (trap / "sub" / "file").chmod(0o4750)
    number = (trap / "sub" / "file").stat().st_ino
    target = tmp_path / "moved"
    (target / "sub").mkdir(parents=True)
    (target / "sub" / "kept").write_text("kept")
    (target / "sub" / "file").symlink_to(tmp_path / "secret" / "key")
    assert files.move_beneath(tmp_path, "trap", target)
    found = {str(each.relative_to(target)) for each in target.rglob("*")}
    assert found == {"sub", "sub/file", "sub/kept"}
    moved = (target / "sub" / "file").lstat()
    assert (moved.st_ino, stat.S_IMODE(moved.st_mode)) == (number, 0o755)
    assert (tmp_path / "secret" / "key").read_text() == "secret"
    assert sorted(each.name for each in trap.rglob("*")) == ["file-link", "link", "pipe", "sub"]


def test_a_single_file_is_moved(trap: Path, tmp_path: Path) -> None:
    number = (trap / "sub" / "file").stat().st_ino
    assert files.move_beneath(trap, "/sub/file", tmp_path / "deep" / "moved")
    assert (tmp_path / "deep" / "moved").stat().st_ino == number
    assert not (trap / "sub" / "file").exists()
    assert not files.move_beneath(trap, "/sub/file", tmp_path / "again")


def test_a_file_with_another_name_is_copied_instead(trap: Path, tmp_path: Path) -> None:
    other = tmp_path / "other-name"
    other.hardlink_to(trap / "sub" / "file")
    assert files.move_beneath(trap, "sub", tmp_path / "moved")
    other.write_text("changed later")
    assert (tmp_path / "moved" / "file").read_text() == "fine"


def test_a_file_with_notes_of_its_own_is_copied_without_them(trap: Path, tmp_path: Path) -> None:
    try:
        os.setxattr(trap / "sub" / "file", "user.note", b"x")
    except OSError:
        pytest.skip("this file system keeps no extended attributes")
    assert files.move_beneath(trap, "sub", tmp_path / "moved")
    assert os.listxattr(tmp_path / "moved" / "file") == []
    assert (trap / "sub" / "file").exists()


def test_a_file_that_cannot_leave_its_file_system_is_copied(
    trap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)
    assert files.move_beneath(trap, "sub", tmp_path / "moved")
    assert (tmp_path / "moved" / "file").read_text() == "fine"


@pytest.mark.parametrize("path", ["link", "pipe", "file-link", "link/key", "../secret"])
def test_nothing_is_moved_through_a_link(trap: Path, tmp_path: Path, path: str) -> None:
    with pytest.raises(Refused):
        files.move_beneath(trap, path, tmp_path / "moved")
    assert not (tmp_path / "moved").exists()


def test_a_folder_in_the_way_of_a_moved_file_is_not_replaced(trap: Path, tmp_path: Path) -> None:
    (tmp_path / "moved" / "file").mkdir(parents=True)
    with pytest.raises(Refused, match="cannot be written here"):
        files.move_beneath(trap, "sub", tmp_path / "moved")
    assert (trap / "sub" / "file").read_text() == "fine"


def test_ext4_is_told_to_keep_apart_what_has_nothing_to_do_with_each_other(tmp_path: Path) -> None:
    kind = processes.run(["stat", "--file-system", "--format=%T", tmp_path], env={}).text()
    if not kind.startswith("ext"):
        pytest.skip(f"the file system is {kind}")

    files.spread(tmp_path)
    files.spread(tmp_path)

    said = processes.run(["lsattr", "-d", tmp_path], env={"PATH": os.defpath}).text()
    assert "T" in said.split()[0]


def test_a_file_system_without_that_hint_is_left_as_it_is() -> None:
    files.spread(Path("/sys"))
