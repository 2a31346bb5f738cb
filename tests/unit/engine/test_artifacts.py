"""Artifacts on this machine's disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from pressplay.base.errors import Refused
from pressplay.engine.artifacts import ArtifactRepository


def test_a_file_is_replaced_as_a_whole_and_its_reader_keeps_what_it_opened(tmp_path: Path) -> None:
    repository = ArtifactRepository(tmp_path)
    for text in ("first", "second"):
        with repository.incoming("cache/one") as part:
            part.write_text(text)
            stored = repository.path("cache/one")
            before = None if stored is None else stored.read_text()
        if text == "second":
            assert before == "first"
    assert (tmp_path / "cache/one").read_text() == "second"


def test_the_last_of_two_that_are_stored_at_once_stays(tmp_path: Path) -> None:
    repository = ArtifactRepository(tmp_path)
    with repository.incoming("one") as a, repository.incoming("one") as b:
        a.write_text("a")
        b.write_text("b")
    assert (tmp_path / "one").read_text() == "a"


def test_what_fails_on_the_way_is_not_stored(tmp_path: Path) -> None:
    repository = ArtifactRepository(tmp_path)
    with pytest.raises(FileNotFoundError), repository.incoming("one") as part:
        (part.write_text("half"), (tmp_path / "not there").read_text())
    assert repository.path("one") is None
    assert not list((tmp_path / ".incoming").iterdir())


def test_what_a_killed_predecessor_left_half_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".incoming" / "part"
    left.parent.mkdir()
    left.write_text("half")
    ArtifactRepository(tmp_path)
    assert not left.exists()


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path: Path) -> None:
    repository = ArtifactRepository(tmp_path)
    (tmp_path / "key").mkdir()
    with pytest.raises(Refused, match="folder is stored"), repository.incoming("key") as p:
        p.write_text("x")
