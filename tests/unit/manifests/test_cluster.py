"""What only a cluster is given: it must fit what is shipped beside it."""

from __future__ import annotations

from importlib import resources
from typing import Any

from pressplay.cli import controllers, main
from pressplay.manifests import loading


def _deployment() -> dict[str, Any]:
    source = resources.files("pressplay.manifests") / "cluster/controllers.yaml"
    (found,) = loading.documents(source)
    return found


def test_the_controllers_deployment_names_what_is_shipped() -> None:
    pod = _deployment()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    shipped = {
        (each["kind"], each["metadata"]["name"]): each
        for each in loading.shipped(namespace="agents")
    }
    assert ("ServiceAccount", pod["serviceAccountName"]) in shipped
    settings = container["env"][1]["valueFrom"]["configMapKeyRef"]
    assert settings["key"] in shipped["ConfigMap", settings["name"]]["data"]
    program, verb = container["command"]
    assert (program, verb in main.VERBS) == ("pressplay", True)
    options = {option: each for each in controllers.command.params for option in each.opts}
    assert container["args"][0] in options
    assert options["--forge-api"].envvar == settings["key"]
    assert container["volumeMounts"][0]["mountPath"] == str(options["--app-key"].default)


def test_the_controllers_are_no_part_of_what_the_embedded_runtime_installs() -> None:
    assert all(each["kind"] != "Deployment" for each in loading.shipped(namespace="agents"))
