from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pressplay.cluster.picture import Picture
from pressplay.cluster.port import Change, Object


def _workflow(name: str, version: int, *, uid: str = "u", **status: Any) -> Object:
    metadata = {"name": name, "namespace": "agents", "uid": uid, "resourceVersion": str(version)}
    return {"kind": "Workflow", "metadata": metadata, "status": status}


def _told(changes: Any) -> list[tuple[str, str, str]]:
    return [
        (each.type, each.object["metadata"]["name"], each.object["metadata"]["resourceVersion"])
        for each in changes
    ]


def _picture() -> Picture:
    return Picture(path=("status", "nodes"))


def test_list_after_a_gap_becomes_what_was_missed() -> None:
    picture = _picture()
    before = [_workflow("same", 1), _workflow("changed", 2), _workflow("gone", 3)]
    assert [kind for kind, *_ in _told(picture.listed(before))] == ["ADDED"] * 3
    after = [_workflow("same", 1), _workflow("changed", 7), _workflow("new", 8)]
    assert _told(picture.listed(after)) == [
        ("DELETED", "gone", "3"),
        ("MODIFIED", "changed", "7"),
        ("ADDED", "new", "8"),
    ]


def test_object_that_was_made_anew_in_a_gap_is_told_as_gone_and_as_new() -> None:
    picture = _picture()
    list(picture.listed([_workflow("x", 1, uid="first")]))
    changes = list(picture.listed([_workflow("x", 5, uid="second")]))
    assert [(each.type, each.object["metadata"]["uid"]) for each in changes] == [
        ("DELETED", "first"),
        ("ADDED", "second"),
    ]


def test_event_that_says_what_is_known_is_no_change() -> None:
    picture = _picture()
    list(picture.listed([_workflow("x", 1)]))
    assert _told(picture.heard("ADDED", _workflow("x", 1))) == []
    assert _told(picture.heard("DELETED", _workflow("never", 1))) == []
    # A server that keeps no history tells what has changed since as new.
    assert _told(picture.heard("ADDED", _workflow("x", 2))) == [("MODIFIED", "x", "2")]


def test_rows_are_in_the_first_change_only() -> None:
    picture = _picture()
    rows = {"a": {"phase": "Running"}}
    (first,) = picture.heard("ADDED", _workflow("x", 1, nodes=rows))
    (second,) = picture.heard("MODIFIED", _workflow("x", 2, phase="Failed", nodes=rows))
    (last,) = picture.heard("DELETED", _workflow("x", 3, phase="Failed", nodes=rows))
    assert [each.object["status"].get("nodes") for each in (first, second, last)] == [rows, {}, {}]
    assert last.object["status"]["phase"] == "Failed"


_snapshots = st.lists(
    st.dictionaries(
        st.sampled_from("abcd"), st.tuples(st.sampled_from("uv"), st.integers(1, 3)), max_size=4
    ),
    max_size=6,
)


@given(_snapshots)
def test_whoever_applies_the_changes_holds_what_was_listed_last(
    snapshots: list[dict[str, tuple[str, int]]],
) -> None:
    picture = _picture()
    held: dict[str, Object] = {}
    for snapshot in snapshots:
        objects = [_workflow(n, version, uid=uid) for n, (uid, version) in snapshot.items()]
        for change in picture.listed(objects):
            _apply(held, change)
        assert {n: _identity(o) for n, o in held.items()} == {
            obj["metadata"]["name"]: _identity(obj) for obj in objects
        }


def _identity(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]


def _apply(held: dict[str, Object], change: Change) -> None:
    name = change.object["metadata"]["name"]
    if change.type == "DELETED":
        del held[name]
    else:
        assert (name in held) is (change.type == "MODIFIED")
        held[name] = change.object
