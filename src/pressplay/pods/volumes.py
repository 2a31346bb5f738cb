"""The volumes of a pod, as frozen values, and their way there from a foreign document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pressplay.pods.fields import Fields

ARTIFACT_DRIVER = "artifacts.pressplay.dev"


@dataclass(frozen=True)
class Item:
    """One key of a ConfigMap or Secret as the file `path`; `mode` 0 means the volume's."""

    key: str
    path: str
    mode: int


@dataclass(frozen=True)
class EmptyDir:
    """A folder that lives as long as the pod."""

    name: str


@dataclass(frozen=True)
class ConfigMapVolume:
    """A ConfigMap's keys as files; no `items` means all of them."""

    name: str
    config_map: str
    items: tuple[Item, ...]
    optional: bool
    mode: int


@dataclass(frozen=True)
class SecretVolume:
    """A Secret's keys as files; no `items` means all of them."""

    name: str
    secret: str
    items: tuple[Item, ...]
    optional: bool
    mode: int


@dataclass(frozen=True)
class ArtifactVolume:
    """The pod's own copy of a stored artifact."""

    name: str
    key: str
    read_only: bool


@dataclass(frozen=True)
class ClaimVolume:
    """A folder that outlives the pod."""

    name: str
    claim: str
    read_only: bool


Volume: TypeAlias = EmptyDir | ConfigMapVolume | SecretVolume | ArtifactVolume | ClaimVolume


def parse_volume(fields: Fields) -> Volume:
    """One volume. Raises Refused, also for every kind that is not built."""
    kinds = ("emptyDir", "configMap", "secret", "csi", "persistentVolumeClaim")
    fields.only(("name", *kinds))
    name = fields.required("name")
    given = [kind for kind in kinds if fields.has(kind)]
    if len(given) > 1:
        raise fields.wrong("", f"has two kinds, {' and '.join(given)}; keep one")
    source = fields.inside(given[0] if given else "emptyDir")
    match given:
        case ["configMap"]:
            source.only(("name", "items", "optional", "defaultMode"))
            return ConfigMapVolume(name, source.required("name"), *_key_files(source))
        case ["secret"]:
            source.only(("secretName", "items", "optional", "defaultMode"))
            return SecretVolume(name, source.required("secretName"), *_key_files(source))
        case ["csi"]:
            return _artifact(name, source)
        case ["persistentVolumeClaim"]:
            source.only(("claimName", "readOnly"))
            return ClaimVolume(name, source.required("claimName"), source.flag("readOnly"))
        case _:
            source.only((), ignored=("medium", "sizeLimit"))
            return EmptyDir(name)


def _key_files(fields: Fields) -> tuple[tuple[Item, ...], bool, int]:
    items = []
    for each in fields.each("items"):
        each.only(("key", "path", "mode"))
        path = each.relative("path")
        if not path:
            raise each.wrong("path", "is missing; set it")
        items.append(Item(each.required("key"), path, each.number("mode")))
    return tuple(items), fields.flag("optional"), fields.number("defaultMode", 0o644)


def _artifact(name: str, fields: Fields) -> ArtifactVolume:
    fields.only(("driver", "readOnly", "volumeAttributes"), ignored=("fsType",))
    driver = fields.required("driver")
    if driver != ARTIFACT_DRIVER:
        raise fields.wrong("driver", f"is {driver!r}; here only {ARTIFACT_DRIVER} is known")
    attributes = fields.inside("volumeAttributes")
    attributes.only(("key",))
    return ArtifactVolume(name, attributes.required("key"), fields.flag("readOnly"))
