"""Bundles between git directories: ours, and those that an agent could reach."""

from pathlib import Path

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import bundles, git, plumbing

ME = git.Identity("Test", "test@example.com")


def commit(directory: Path, parent: str = "", message: str = "m") -> str:
    """A commit without a file."""
    tree = plumbing.must(directory, "mktree", stdin=b"").text().strip()
    if parent:
        return git.commit_tree(directory, tree, parent=parent, message=message, identity=ME)
    made = plumbing.must(directory, "commit-tree", "-m", message, tree, more=ME.variables())
    return made.text().strip()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    git.init(tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def pair(own: Path, tmp_path: Path) -> tuple[str, str]:
    """Base and head, which `clean` has as well; `work.bundle` holds one commit on the head."""
    base = commit(own)
    head = commit(own, base, "second")
    bundles.write(own, tmp_path / "x/source.bundle", tips={"base": base, "head": head})
    assert bundles.take(tmp_path / "clean", tmp_path / "x/source.bundle") == {
        "base": base,
        "head": head,
    }
    return base, head


def shas(directory: Path, *, start: str, tip: str) -> list[str]:
    return [record.sha for record in git.line(directory, start=start, tip=tip) or ()]


def test_commits_travel_with_their_history(pair: tuple[str, str], tmp_path: Path) -> None:
    base, head = pair
    assert shas(tmp_path / "clean", start=base, tip=head) == [head]


def test_only_what_is_new_travels_in_a_second_bundle(
    own: Path, pair: tuple[str, str], tmp_path: Path
) -> None:
    head = pair[1]
    work = commit(own, head, "work")
    bundles.write(own, tmp_path / "w.bundle", tips={"work": work}, without=[head])
    assert bundles.take_foreign(tmp_path / "clean", tmp_path / "w.bundle") == {"work": work}
    assert shas(tmp_path / "clean", start=head, tip=work) == [work]


def test_what_is_written_is_a_bundle_to_git_itself(
    own: Path, pair: tuple[str, str], tmp_path: Path
) -> None:
    plumbing.must(own, "bundle", "verify", str(tmp_path / "x/source.bundle"))


def test_a_bundle_of_a_commit_that_is_not_there_is_refused_and_leaves_no_file(
    own: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=r"Bundle new\.bundle cannot be written"):
        bundles.write(own, tmp_path / "new.bundle", tips={"head": "1" * 40})
    assert not (tmp_path / "new.bundle").exists()


def test_a_bundle_that_rests_on_missing_commits_is_refused(
    own: Path, pair: tuple[str, str], tmp_path: Path
) -> None:
    work = commit(own, pair[1], "work")
    bundles.write(own, tmp_path / "w.bundle", tips={"work": work}, without=[pair[1]])
    git.init(tmp_path / "empty")
    with pytest.raises(Refused, match="is not known"):
        bundles.take_foreign(tmp_path / "empty", tmp_path / "w.bundle")
    with pytest.raises(Refused, match=r"w\.bundle is not usable"):
        bundles.take(tmp_path / "empty", tmp_path / "w.bundle")


@pytest.mark.parametrize("place", [-40, -10])
def test_a_damaged_bundle_is_refused(
    own: Path, pair: tuple[str, str], tmp_path: Path, place: int
) -> None:
    work = commit(own, pair[1], "work")
    bundles.write(own, tmp_path / "w.bundle", tips={"work": work}, without=[pair[1]])
    data = bytearray((tmp_path / "w.bundle").read_bytes())
    data[place] ^= 0xFF
    (tmp_path / "w.bundle").write_bytes(data)
    with pytest.raises(Refused, match="holds what git refuses"):
        bundles.take_foreign(tmp_path / "clean", tmp_path / "w.bundle")


def test_a_bundle_that_lies_about_its_tip_brings_no_such_commit(
    own: Path, pair: tuple[str, str], tmp_path: Path
) -> None:
    work = commit(own, pair[1], "work")
    bundles.write(own, tmp_path / "w.bundle", tips={"work": work}, without=[pair[1]])
    data = (tmp_path / "w.bundle").read_bytes()
    (tmp_path / "w.bundle").write_bytes(data.replace(work.encode(), b"1" * 40))
    with pytest.raises(Refused, match="does not hold the commit"):
        bundles.take_foreign(tmp_path / "clean", tmp_path / "w.bundle")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PACK",
        b"# v3 git bundle\n@filter=blob:none\n\nPACK",
        b"# v2 git bundle\n" + b"1" * 40 + b" refs/heads/main\n\nPACK",
        b"# v2 git bundle\n" + b"1" * 40 + b" refs/pressplay/work\n" * 3,
    ],
)
def test_what_is_no_bundle_of_ours_is_refused(
    pair: tuple[str, str], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "w.bundle").write_bytes(content)
    with pytest.raises(Refused, match="bundle"):
        bundles.take_foreign(tmp_path / "clean", tmp_path / "w.bundle")


def test_objects_that_git_deems_wrong_are_refused(
    own: Path, pair: tuple[str, str], tmp_path: Path
) -> None:
    empty = plumbing.must(own, "hash-object", "-w", "--stdin", stdin=b"x").text().strip()
    entry = b"100644 .git\0" + bytes.fromhex(empty)
    tree = plumbing.must(
        own, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=entry
    )
    work = git.commit_tree(own, tree.text().strip(), parent=pair[1], message="evil", identity=ME)
    bundles.write(own, tmp_path / "w.bundle", tips={"work": work}, without=[pair[1]])
    with pytest.raises(Refused, match="holds what git refuses"):
        bundles.take_foreign(tmp_path / "clean", tmp_path / "w.bundle")


def test_a_merge_is_no_line(own: Path, pair: tuple[str, str]) -> None:
    base, head = pair
    side = commit(own, base, "side")
    tree = git.tree_of(own, base)
    merge = plumbing.must(
        own,
        *("commit-tree", "-p", head, "-p", side, "-m", "merge", tree),
        more=ME.variables(),
    )
    assert git.line(own, start=head, tip=merge.text().strip()) is None
    assert git.line(own, start=head, tip=side) is None
    assert git.line(own, start=head, tip=base) is None
    assert git.line(own, start=head, tip=head) == ()
