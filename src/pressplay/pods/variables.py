"""The environment and the command line of a container, as Kubernetes makes them.

Source: Kubernetes' pages "Define Dependent Environment Variables" and "Define a Command and
Arguments for a Container".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pressplay.base.errors import Refused
from pressplay.pods import spec
from pressplay.pods.containers import (
    VARIABLE_NAME,
    ConfigMapKey,
    Container,
    EnvSource,
    EnvVar,
    KeyRef,
    PodField,
    SecretKey,
)
from pressplay.pods.sources import Sources
from pressplay.pods.spec import Pod

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`text` with `$(NAME)` replaced; an unknown name stays as it is, and `$$` means `$`."""
    if "$" not in text:
        return text

    def value_of(reference: re.Match[str]) -> str:
        name = reference[1]
        return "$" if name is None else variables.get(name, reference[0])

    return _REFERENCE.sub(value_of, text)


def environment(container: Container, pod: Pod, sources: Sources) -> dict[str, str]:
    """All that the spec gives the container: the runtime's own, then `envFrom`, then `env`.

    A value may use the variables before it. Raises Refused for a ConfigMap, Secret or key that
    is not there and not optional.
    """
    resolver = _Resolver(pod, sources)
    variables = dict(sources.pod_environment()) if pod.service_account else {}
    for source in container.env_from:
        variables.update(resolver.all_of(source))
    for variable in container.env:
        value = resolver.value(variable, variables)
        if value is not None:
            variables[variable.name] = value
    for name, value in variables.items():
        _check(value, what=f"Variable {name}")
    return variables


def command_line(
    container: Container,
    variables: Mapping[str, str],
    *,
    entrypoint: Sequence[str],
    arguments: Sequence[str],
) -> tuple[str, ...]:
    """The argument list. A spec's command also replaces the image's own `arguments`."""
    command = container.command or entrypoint
    args = container.args or (() if container.command else arguments)
    parts = tuple(expand(part, variables) for part in (*command, *args))
    for part in parts:
        _check(part, what="The command line")
    return parts


def missing(kind: str, name: str, pod: Pod, *, key: str = "") -> Refused:
    """The refusal of a pod whose ConfigMap or Secret (or a key of it) is not there."""
    what = f"Key {key!r} of {kind}" if key else kind
    return Refused(
        f"{what} {pod.namespace}/{name} not found; create it, or mark the reference optional"
    )


def _check(text: str, *, what: str) -> None:
    """Refuse what no process can be given."""
    if "\0" in text:
        raise Refused(f"{what} holds a NUL character, which no program can be given; use a file")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise Refused(f"{what} is not UTF-8: {error.reason}; correct it") from error


@dataclass(frozen=True)
class _Resolver:
    pod: Pod
    sources: Sources

    def all_of(self, source: EnvSource) -> dict[str, str]:
        found = self._secret(source.name) if source.is_secret else self._config_map(source.name)
        if found is None and not source.optional:
            raise missing("Secret" if source.is_secret else "ConfigMap", source.name, self.pod)
        variables = {f"{source.prefix}{key}": value for key, value in (found or {}).items()}
        # What cannot be a variable's name is left out, as in Kubernetes.
        return {name: value for name, value in variables.items() if VARIABLE_NAME.fullmatch(name)}

    def value(self, variable: EnvVar, variables: Mapping[str, str]) -> str | None:
        """The value; None for an optional one that is not there."""
        match variable.value:
            case str() as text:
                return expand(text, variables)
            case PodField() as field:
                return spec.pod_field(self.pod, field)
            case ConfigMapKey() as ref:
                return self._one(ref, self._config_map(ref.name), "ConfigMap")
            case SecretKey() as ref:
                return self._one(ref, self._secret(ref.name), "Secret")

    def _one(self, ref: KeyRef, found: Mapping[str, str] | None, kind: str) -> str | None:
        value = None if found is None else found.get(ref.key)
        if value is None and not ref.optional:
            raise missing(kind, ref.name, self.pod, key=ref.key)
        return value

    def _config_map(self, name: str) -> Mapping[str, str] | None:
        return self.sources.config_map(self.pod.namespace, name)

    def _secret(self, name: str) -> Mapping[str, str] | None:
        found = self.sources.secret(self.pod.namespace, name)
        if found is None:
            return None
        return {key: value.decode(errors="surrogateescape") for key, value in found.items()}
