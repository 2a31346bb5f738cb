from __future__ import annotations

import io
import os
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.server import artifacts

if TYPE_CHECKING:
    from tests.unit.server.conftest import Api  # only a name here: pytest hands the object in

RUN = "/artifacts/agents/run"


def _put(root: Path, path: str, content: bytes) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def _members(data: bytes) -> dict[str, bytes | None]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {}
        for member in archive:
            source = archive.extractfile(member)
            found[member.name] = source.read() if source else None
        return found


async def test_file_comes_as_it_is(api: Api) -> None:
    content = os.urandom(200_000)
    _put(api.artifacts, "run/evidence/report.json", content)
    answer = await api.ask("GET", f"{RUN}/evidence/report.json")
    assert answer.content == content
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_folder_comes_as_a_tar_of_its_content(api: Api) -> None:
    _put(api.artifacts, "run/bundle/index.json", b"{}")
    script = _put(api.artifacts, "run/bundle/blobs/a", b"x" * 5000)
    script.chmod(0o755)
    (api.artifacts / "run" / "bundle" / "empty").mkdir()
    answer = await api.ask("GET", f"{RUN}/bundle/")
    assert answer.headers["content-type"] == "application/x-tar"
    assert _members(answer.content) == {
        "blobs": None,
        "blobs/a": b"x" * 5000,
        "empty": None,
        "index.json": b"{}",
    }


async def test_no_link_leaves(api: Api) -> None:
    outside = _put(api.artifacts.parent, "outside/secret", b"secret")
    _put(api.artifacts, "run/evidence/plain", b"plain")
    evidence = api.artifacts / "run" / "evidence"
    (evidence / "link").symlink_to(outside)
    (evidence / "folder").symlink_to(outside.parent)
    os.mkfifo(evidence / "pipe")
    answer = await api.ask("GET", f"{RUN}/evidence")
    assert _members(answer.content) == {"plain": b"plain"}
    assert (await api.ask("GET", f"{RUN}/evidence/link")).status_code == 404


@pytest.mark.parametrize(
    ("path", "code"),
    [(f"{RUN}/nothing", 404), (f"{RUN}/%2e%2e/x", 400), (f"{RUN}/a/%2e%2e/%2e%2e/b", 400)],
)
async def test_what_is_not_there_is_not_found(api: Api, path: str, code: int) -> None:
    answer = await api.ask("GET", path)
    assert answer.status_code == code
    assert answer.json()["kind"] == "Status"


@pytest.mark.parametrize(
    ("account", "code"),
    [("sealer", 200), ("orchestrator", 200), ("approver", 403), ("agent-run", 403)],
)
async def test_artifacts_are_for_those_who_may(api: Api, account: str, code: int) -> None:
    _put(api.artifacts, "run/a", b"a")
    assert (await api.ask("GET", f"{RUN}/a", account=account)).status_code == code
    # A right in one namespace is none in another.
    assert (await api.ask("GET", "/artifacts/other/run/a", account=account)).status_code == 403


@given(
    st.dictionaries(
        st.text(
            st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/."),
            min_size=1,
            max_size=60,
        ),
        st.binary(max_size=1500),
        max_size=6,
    )
)
def test_any_folder_survives_the_journey(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            _put(Path(folder), name, content)
        data = b"".join(artifacts.tar_of(Path(folder)))
    assert _members(data) == files
