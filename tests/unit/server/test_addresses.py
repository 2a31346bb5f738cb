from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.api import kinds
from pressplay.api.kinds import Kind
from pressplay.server import addresses


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.name)
def test_paths_of_a_kind_are_read_back(kind: Kind) -> None:
    holder = "agents" if kind.namespaced else ""
    for namespace, name in ((holder, "one"), (holder, ""), ("", "")):
        address = addresses.parse(kind.path(namespace, name))
        assert address is not None
        assert (address.kind, address.namespace, address.name) == (kind, namespace, name)
        assert address.subresource == ""


@pytest.mark.parametrize(
    ("path", "kind", "namespace", "name", "part"),
    [
        ("/api/v1/namespaces/a", "Namespace", "", "a", ""),
        ("/api/v1/namespaces/a/", "Namespace", "", "a", ""),
        ("/api/v1/namespaces/a/status", "Namespace", "", "a", "status"),
        ("/api/v1/namespaces/a/pods/p/log", "Pod", "a", "p", "log"),
        ("/api/v1/namespaces/pods/pods", "Pod", "pods", "", ""),
        ("/apis/taskmaster.io/v1/namespaces/a/coderuns/c/status", "CodeRun", "a", "c", "status"),
        ("/apis/taskmaster.io/v1/coderuns", "CodeRun", "", "", ""),
    ],
)
def test_path_names_its_object(path: str, kind: str, namespace: str, name: str, part: str) -> None:
    address = addresses.parse(path)
    assert address is not None
    found = (address.kind.name, address.namespace, address.name, address.subresource)
    assert found == (kind, namespace, name, part)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1",
        "/apis/apps/v1",
        "/api/v2/pods",
        "/api/v1/coderuns",
        "/apis/taskmaster.io/v1/pods",
        "/api/v1/pods/p",
        "/api/v1/namespaces/a/pods/p/log/more",
        "/api/v1/namespaces//pods",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/a/clusterroles/c",
        "/metrics/v1/pods",
    ],
)
def test_path_that_is_not_served_names_nothing(path: str) -> None:
    assert addresses.parse(path) is None


_PARTS = st.sampled_from(["api", "apis", "v1", "apps", "namespaces", "pods", "a", "", "..", "log"])


@given(st.lists(_PARTS, max_size=8))
def test_any_path_is_read_or_not_served(parts: list[str]) -> None:
    address = addresses.parse("/" + "/".join(parts))
    if address is not None:
        assert address.kind in kinds.KINDS
        assert bool(address.namespace) <= address.kind.namespaced
