from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.pods import spec
from pressplay.pods.containers import Port, Readiness
from pressplay.pods.spec import Network, Pod
from pressplay.pods.volumes import ArtifactVolume, ClaimVolume, EmptyDir, Item, SecretVolume

MAIN = {"name": "main", "image": "x", "command": ["true"]}


def parse(
    pod: Mapping[str, Any], *, labels: Mapping[str, str] | None = None, uid: str = "u1"
) -> Pod:
    return spec.parse_pod(pod, name="p", namespace="n", uid=uid, labels=labels or {})


def with_main(**fields: Any) -> dict[str, Any]:
    return {"containers": [{**MAIN, **fields}]}


def with_volume(**kinds: Any) -> dict[str, Any]:
    return {"containers": [MAIN], "volumes": [{"name": "v", **kinds}]}


def test_a_small_pod_has_kubernetes_defaults() -> None:
    pod = parse({"containers": [MAIN]})
    (main,) = pod.containers
    assert (main.working_dir, main.env, main.mounts, main.readiness) == ("/", (), (), None)
    assert (pod.network, pod.grace_s, pod.automount_token) == (Network.HOST, 30, True)
    assert (pod.service_account, pod.ignored) == ("", ())


def test_the_network_comes_from_the_label() -> None:
    labels = {"pressplay.dev/network": "none"}
    assert parse({"containers": [MAIN]}, labels=labels).network is Network.NONE
    with pytest.raises(Refused, match="'mesh'; write host, none or relay"):
        parse({"containers": [MAIN]}, labels={"pressplay.dev/network": "mesh"})


@pytest.mark.parametrize("network", [Network.HOST, Network.NONE])
def test_all_containers_of_a_pod_have_its_network(network: Network) -> None:
    init = [{**MAIN, "name": "first"}, {**MAIN, "name": "beside", "restartPolicy": "Always"}]
    labels = {"pressplay.dev/network": network.value}
    pod = parse({"containers": [MAIN], "initContainers": init}, labels=labels)
    assert {pod.network_of(each) for each in pod.all_containers} == {network}


def test_in_a_relay_network_only_main_containers_are_alone() -> None:
    second = {**MAIN, "name": "second"}
    init = [{**MAIN, "name": "first"}, {**MAIN, "name": "beside", "restartPolicy": "Always"}]
    labels = {"pressplay.dev/network": "relay"}
    pod = parse({"containers": [MAIN, second], "initContainers": init}, labels=labels)
    assert {each.name: pod.network_of(each) for each in pod.all_containers} == {
        "first": Network.HOST,
        "beside": Network.HOST,
        "main": Network.NONE,
        "second": Network.NONE,
    }


def test_init_containers_that_restart_always_are_sidecars() -> None:
    pod = parse(
        {
            "containers": [MAIN],
            "initContainers": [
                {**MAIN, "name": "token"},
                {**MAIN, "name": "meter", "restartPolicy": "Always"},
            ],
        }
    )
    assert [each.name for each in pod.init_containers] == ["token"]
    assert [each.name for each in pod.sidecars] == ["meter"]


def test_what_only_tunes_a_cluster_is_recorded_and_ignored() -> None:
    pod = parse(
        {
            "containers": [
                {**MAIN, "resources": {"limits": {"cpu": 1}}, "livenessProbe": {"a": 1}}
            ],
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [],
            "restartPolicy": "Never",
            "hostNetwork": False,
            "shareProcessNamespace": None,
        }
    )
    assert set(pod.ignored) == {
        "spec.nodeSelector",
        "spec.restartPolicy",
        "spec.containers[0].livenessProbe",
        "spec.containers[0].resources",
    }


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        ({}, "spec.containers is empty"),
        ({"containers": {}}, "spec.containers must be a list"),
        ({"containers": ["x"]}, r"spec.containers\[0\] must be a mapping"),
        ({"containers": [{"image": "x"}]}, r"spec.containers\[0\].name is missing"),
        ({"containers": [MAIN, MAIN]}, "two containers called main"),
        ({"containers": [{**MAIN, "name": "../x"}]}, "lower-case"),
        ({"containers": [MAIN], "hostPID": True}, "spec.hostPID is not supported"),
        ({"containers": [MAIN], "hostAliases": [{}]}, "spec.hostAliases is not supported"),
        (with_main(stdin=True), r"spec.containers\[0\].stdin is not supported"),
        (with_main(lifecycle={"preStop": {}}), "lifecycle is not supported"),
        (with_main(command="true"), "command must be a list"),
        (with_main(command=[1]), r"command\[0\] must be a string; quote it"),
        (with_main(command=["a\0b"]), "NUL"),
        (with_main(workingDir="src"), "workingDir must be an absolute path"),
        (with_main(env=[{"name": "A=B", "value": ""}]), "printable ASCII without '='"),
        (with_main(env=[{"name": "A", "value": 1}]), r"env\[0\].value must be a string"),
        (
            with_main(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"x": 1}}}]),
            "resourceFieldRef is not supported",
        ),
        (
            with_main(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.x"}}}]),
            "known: metadata.name",
        ),
        (with_main(envFrom=[{"prefix": "A"}]), "exactly one of configMapRef and secretRef"),
        (with_main(volumeMounts=[{"name": "no", "mountPath": "/a"}]), "has no 'no'"),
        (with_main(ports=[{"containerPort": 0}]), "from 1 to 65535"),
        (with_main(ports=[{"containerPort": 53, "protocol": "UDP"}]), "must be TCP"),
        (with_main(readinessProbe={"exec": {"command": ["x"]}}), "exec is not supported"),
        (with_main(readinessProbe={"periodSeconds": 1}), "exactly one of httpGet and tcpSocket"),
        (with_volume(hostPath={"path": "/"}), r"spec.volumes\[0\].hostPath is not supported"),
        (with_volume(projected={"sources": [{}]}), "projected is not supported"),
        (with_volume(emptyDir={}, secret={"secretName": "a"}), "two kinds"),
        (with_volume(secret={"secretName": ""}), "secretName is missing"),
        (with_volume(csi={"driver": "nfs"}), "here only artifacts.pressplay.dev"),
        (
            with_volume(configMap={"name": "a", "items": [{"key": "k", "path": "../x"}]}),
            "relative path without",
        ),
    ],
)
def test_a_bad_field_is_refused_with_its_path(pod: Mapping[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        parse(pod)


@pytest.mark.parametrize("path", ["/", "/proc", "/proc/sys", "/dev", "a", "/a/../b", ""])
def test_a_mount_where_the_runtime_needs_the_place_is_refused(path: str) -> None:
    pod = with_volume(emptyDir={})
    pod["containers"] = [{**MAIN, "volumeMounts": [{"name": "v", "mountPath": path}]}]
    with pytest.raises(Refused, match="mountPath"):
        parse(pod)


def test_two_mounts_at_one_path_are_refused() -> None:
    mounts = [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a/"}]
    pod = with_volume(emptyDir={})
    pod["containers"] = [{**MAIN, "volumeMounts": mounts}]
    with pytest.raises(Refused, match="two volumes at one path"):
        parse(pod)


@pytest.mark.parametrize("uid", ["", "..", "../x", "a/b", ".hidden"])
def test_a_uid_that_is_no_folder_name_is_refused(uid: str) -> None:
    with pytest.raises(Refused, match="cannot name a folder"):
        parse({"containers": [MAIN]}, uid=uid)


def test_every_kind_of_volume_is_read() -> None:
    pod = parse(
        {
            "containers": [MAIN],
            "volumes": [
                {"name": "a"},
                {"name": "b", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                {
                    "name": "c",
                    "secret": {
                        "secretName": "s",
                        "optional": True,
                        "items": [{"key": "k", "path": "d//p", "mode": 256}],
                    },
                },
                {
                    "name": "d",
                    "csi": {
                        "driver": "artifacts.pressplay.dev",
                        "readOnly": True,
                        "volumeAttributes": {"key": "run/source"},
                    },
                },
                {"name": "e", "persistentVolumeClaim": {"claimName": "cache"}},
            ],
        }
    )
    assert pod.volumes == (
        EmptyDir("a"),
        EmptyDir("b"),
        SecretVolume("c", "s", (Item("k", "d/p", 256),), optional=True, mode=420),
        ArtifactVolume("d", "run/source", read_only=True),
        ClaimVolume("e", "cache", read_only=False),
    )


def test_ports_and_readiness_are_read_for_the_caller() -> None:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 2}
    ports = [{"name": "http", "containerPort": 8080}]
    (main,) = parse(with_main(ports=ports, readinessProbe=probe)).containers
    assert main.ports == (Port("http", 8080),)
    assert main.readiness == Readiness("/healthz", "http", (), 0, 2, 1, 1, 3)
    (other,) = parse(with_main(readinessProbe={"tcpSocket": {"port": 80}})).containers
    assert other.readiness is not None
    assert (other.readiness.path, other.readiness.port) == ("", 80)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["name", "image", "command", "args", "env", "envFrom", "volumeMounts", "ports", "workingDir"]
)


@given(st.dictionaries(KEYS, JSON), JSON)
def test_any_document_is_a_pod_or_refused(container: dict[str, Any], volumes: Any) -> None:
    try:
        pod = parse({"containers": [container], "volumes": volumes})
    except Refused:
        return
    assert pod.containers[0].name == container["name"]
