"""What is in a pod's volumes before its first container starts, and where each is mounted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class PodFolder:
    """The folder of one pod: a root for each container, and its volumes.

    Containers' names hold no underscore, so that nothing here can have the name of one.
    """

    path: Path
    pod: Pod
    sources: Sources

    @property
    def has_copies(self) -> bool:
        """Whether filling copies artifacts, which may take long."""
        return any(isinstance(volume, ArtifactVolume) for volume in self.pod.volumes)

    def make_roots(self) -> None:
        """Make it afresh, with a root for each container."""
        self.path.mkdir(mode=0o700)
        for container in self.pod.all_containers:
            self.root_of(container).mkdir()

    def make_volumes(self) -> None:
        """Make the folders of those volumes that files can be placed in before the start."""
        for volume in self.pod.volumes:
            if not isinstance(volume, ClaimVolume | ArtifactVolume):
                self._folder_of(volume).mkdir()

    def root_of(self, container: Container) -> Path:
        """What the container sees as `/`."""
        return self.path / container.name

    def fill(self) -> None:
        """Write what the volumes hold, and the account's token. Raises Refused."""
        for volume in self.pod.volumes:
            match volume:
                case ConfigMapVolume():
                    self._write_keys(volume, self._config_map(volume))
                case SecretVolume():
                    found = self.sources.secret(self.pod.namespace, volume.secret)
                    self._write_keys(volume, found)
                case ArtifactVolume():
                    self._copy_artifact(volume)
                case ClaimVolume() | EmptyDir():
                    pass
        self._write_account()

    def filesystem(self, container: Container, image: Image) -> Filesystem:
        """What the container sees; its account only once the volumes are filled."""
        volumes = {volume.name: volume for volume in self.pod.volumes}
        attachments = [
            Attachment(
                anchor=self._folder_of(volumes[mount.volume]),
                inner=mount.sub_path,
                target=mount.path,
                read_only=mount.read_only or _is_read_only(volumes[mount.volume]),
            )
            for mount in container.mounts
        ]
        is_taken = any(each.target == ACCOUNT_PATH for each in attachments)
        if self._account.is_dir() and not is_taken:
            attachments.append(Attachment(self._account, "", ACCOUNT_PATH, read_only=True))
        # A folder before what is mounted inside of it.
        attachments.sort(key=lambda attachment: attachment.target.count("/"))
        return Filesystem(image, self.root_of(container), tuple(attachments))

    @property
    def _account(self) -> Path:
        return self.path / "account_"

    def _folder_of(self, volume: Volume) -> Path:
        if isinstance(volume, ClaimVolume):
            return self.sources.claim(self.pod.namespace, volume.claim)
        return self.path / f"volume_{volume.name}"

    def _config_map(self, volume: ConfigMapVolume) -> Mapping[str, bytes] | None:
        texts = self.sources.config_map(self.pod.namespace, volume.config_map)
        return None if texts is None else {key: text.encode() for key, text in texts.items()}

    def _write_keys(
        self, volume: ConfigMapVolume | SecretVolume, content: Mapping[str, bytes] | None
    ) -> None:
        if content is None:
            if volume.optional:
                return
            raise self._missing(volume)
        for item in volume.items or [Item(key, key, mode=0) for key in content]:
            if item.key in content:
                # We have to read it back, whatever the mode says.
                mode = (item.mode or volume.mode) & 0o777 | 0o400
                data = content[item.key]
                files.write_beneath(self._folder_of(volume), item.path, data, mode=mode)
            elif not volume.optional:
                raise self._missing(volume, key=item.key)

    def _missing(self, volume: ConfigMapVolume | SecretVolume, *, key: str = "") -> Refused:
        if isinstance(volume, SecretVolume):
            return variables.missing("Secret", volume.secret, self.pod, key=key)
        return variables.missing("ConfigMap", volume.config_map, self.pod, key=key)

    def _copy_artifact(self, volume: ArtifactVolume) -> None:
        stored = self.sources.artifact(volume.key)
        if stored is None:
            raise Refused(f"Volume {volume.name}: no artifact is stored at {volume.key}")
        files.place_beneath(stored, self.path, self._folder_of(volume).name)

    def _write_account(self) -> None:
        pod = self.pod
        if not pod.service_account or not pod.automount_token:
            return
        token = self.sources.account_token(pod.namespace, pod.service_account)
        if token:
            self._account.mkdir(mode=0o700)
            files.write_beneath(self._account, "token", token.encode(), mode=0o600)
            files.write_beneath(self._account, "namespace", pod.namespace.encode())


def _is_read_only(volume: Volume) -> bool:
    match volume:
        case EmptyDir():
            return False
        case ConfigMapVolume() | SecretVolume():
            return True
        case ArtifactVolume() | ClaimVolume():
            return volume.read_only
