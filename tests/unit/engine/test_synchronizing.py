"""What a `synchronization` asks for."""

from __future__ import annotations

from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.engine import synchronizing
from pressplay.engine.synchronizing import MUTEX, SEMAPHORE, Lock

_SEMAPHORE = {"configMapKeyRef": {"name": "limits", "key": "agents"}}


def test_lists_and_the_singular_fields_of_argo_3_are_read_together() -> None:
    raw = {
        "semaphore": _SEMAPHORE,
        "mutex": {"name": "a"},
        "semaphores": [{**_SEMAPHORE, "namespace": "other"}],
        "mutexes": [{"name": "b"}],
    }
    assert synchronizing.parse_locks(raw, where="t") == (
        Lock(SEMAPHORE, "limits", key="agents"),
        Lock(SEMAPHORE, "limits", key="agents", namespace="other"),
        Lock(MUTEX, "a"),
        Lock(MUTEX, "b"),
    )


def test_names_are_argos() -> None:
    semaphore = Lock(SEMAPHORE, "limits", key="agents")
    assert semaphore.full_name("here") == "here/ConfigMap/limits/agents"
    assert Lock(MUTEX, "a/b", namespace="there").full_name("here") == "there/Mutex/a/b"
    assert synchronizing.kind_of("there/Mutex/a/b") == MUTEX


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"semaphores": [{"configMapKeyRef": {"name": "a"}}]}, "needs name and key"),
        ({"semaphores": [{}]}, "needs name and key"),
        ({"semaphores": [{"database": {"key": "k"}}]}, "database"),
        ({"mutexes": [{"name": "a", "database": True}]}, "database"),
        ({"mutexes": [{}]}, "needs a name"),
        ({"mutexes": [{"name": "a"}, {"name": "a"}]}, "Duplicate synchronization item"),
        ({"mutex": {"name": "a"}, "mutexes": [{"name": "a"}]}, "Duplicate synchronization item"),
        ({"lock": {"name": "a"}}, "lock: the embedded engine does not know it"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        synchronizing.parse_locks(raw, where="templates.t.synchronization")
    assert str(caught.value).startswith("templates.t.synchronization")


def test_nothing_asked_for_is_nothing() -> None:
    assert synchronizing.parse_locks({"mutexes": None, "semaphores": []}, where="t") == ()
