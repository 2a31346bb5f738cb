"""What is in a pod's volumes before its first container starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pressplay.base import files
from pressplay.base.errors import Refused
from pressplay.pods import variables
from pressplay.pods.containers import Container
from pressplay.pods.filesystems import Attachment, Filesystem
from pressplay.pods.images import Image
from pressplay.pods.sources import Sources
from pressplay.pods.spec import Pod
from pressplay.pods.volumes import (
    ArtifactVolume,
    ClaimVolume,
    ConfigMapVolume,
    EmptyDir,
    Item,
    SecretVolume,
    Volume,
)

ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_ACCOUNT = "account_"


def has_copies(pod: Pod) -> bool:
    """Whether filling copies artifacts, which may take long."""
    return any(isinstance(volume, ArtifactVolume) for volume in pod.volumes)


def make_folders(pod: Pod, folder: Path) -> None:
    """A folder for each volume that the pod owns, so that files can be placed in it."""
    for volume in pod.volumes:
        if not isinstance(volume, ClaimVolume | ArtifactVolume):
            (folder / _name(volume)).mkdir(mode=0o700)


def fill(pod: Pod, folder: Path, sources: Sources) -> None:
    """Write what the volumes hold, and the account's token. Raises Refused for what is missing."""
    for volume in pod.volumes:
        match volume:
            case ConfigMapVolume():
                texts = sources.config_map(pod.namespace, volume.config_map)
                content = None if texts is None else _encoded(texts)
                _write_keys(volume, content, pod, folder)
            case SecretVolume():
                _write_keys(volume, sources.secret(pod.namespace, volume.secret), pod, folder)
            case ArtifactVolume():
                stored = sources.artifact(volume.key)
                if stored is None:
                    raise Refused(f"Volume {volume.name}: no artifact is stored at {volume.key}")
                files.place_beneath(stored, folder, _name(volume))
            case ClaimVolume() | EmptyDir():
                pass
    _write_account(pod, folder, sources)


def filesystem(
    container: Container, pod: Pod, folder: Path, *, image: Image, sources: Sources
) -> Filesystem:
    """What the container sees, once the volumes are filled."""
    volumes = {volume.name: volume for volume in pod.volumes}
    attachments = []
    for mount in container.mounts:
        volume = volumes[mount.volume]
        attachments.append(
            Attachment(
                anchor=_anchor(volume, pod, folder, sources),
                inner=mount.sub_path,
                target=mount.path,
                read_only=mount.read_only or _is_read_only(volume),
            )
        )
    if (folder / _ACCOUNT).is_dir() and ACCOUNT_PATH not in [a.target for a in attachments]:
        attachments.append(Attachment(folder / _ACCOUNT, "", ACCOUNT_PATH, read_only=True))
    # A folder before what is mounted inside of it.
    attachments.sort(key=lambda attachment: attachment.target.count("/"))
    return Filesystem(image, folder / container.name, tuple(attachments))


def _name(volume: Volume) -> str:
    """The volume's folder beside those of the containers, whose names hold no underscore."""
    return f"volume_{volume.name}"


def _anchor(volume: Volume, pod: Pod, folder: Path, sources: Sources) -> Path:
    if isinstance(volume, ClaimVolume):
        return sources.claim(pod.namespace, volume.claim)
    return folder / _name(volume)


def _is_read_only(volume: Volume) -> bool:
    match volume:
        case EmptyDir():
            return False
        case ConfigMapVolume() | SecretVolume():
            return True
        case ArtifactVolume() | ClaimVolume():
            return volume.read_only


def _encoded(texts: Mapping[str, str]) -> dict[str, bytes]:
    return {key: text.encode(errors="surrogateescape") for key, text in texts.items()}


def _write_keys(
    volume: ConfigMapVolume | SecretVolume,
    content: Mapping[str, bytes] | None,
    pod: Pod,
    folder: Path,
) -> None:
    kind, name = (
        ("Secret", volume.secret)
        if isinstance(volume, SecretVolume)
        else (
            "ConfigMap",
            volume.config_map,
        )
    )
    if content is None:
        if volume.optional:
            return
        raise variables.missing(kind, name, pod)
    for item in volume.items or _all_keys(content):
        if item.key in content:
            mode = item.mode or volume.mode
            files.write_beneath(
                folder / _name(volume), item.path, content[item.key], mode=mode & 0o777 | 0o400
            )
        elif not volume.optional:
            raise variables.missing(kind, name, pod, key=item.key)


def _all_keys(content: Mapping[str, bytes]) -> Sequence[Item]:
    return [Item(key, key, mode=0) for key in content]


def _write_account(pod: Pod, folder: Path, sources: Sources) -> None:
    if not pod.service_account or not pod.automount_token:
        return
    token = sources.account_token(pod.namespace, pod.service_account)
    if not token:
        return
    account = folder / _ACCOUNT
    account.mkdir(mode=0o700)
    files.write_beneath(account, "token", token.encode(), mode=0o600)
    files.write_beneath(account, "namespace", pod.namespace.encode())
