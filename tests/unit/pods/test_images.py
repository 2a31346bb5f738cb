from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import pressplay
from pressplay.pods import etc, images
from pressplay.pods.images import Bind, Image, Images


@pytest.mark.parametrize(
    "name",
    [
        "pressplay/runner",
        "pressplay/runner:0.1.0",
        "pressplay/runner@sha256:00",
        "pressplay/runner:0.1.0@sha256:00",
    ],
)
def test_the_tag_of_an_image_does_not_matter(name: str) -> None:
    host, runner = Image("host"), Image("runner")
    assert Images(host=host, named={"pressplay/runner": runner}).lookup(name) is runner


@pytest.mark.parametrize("name", ["", "alpine:3.20", "registry:5000/pressplay/runner", "runner"])
def test_an_unknown_image_is_the_host(name: str) -> None:
    host = Image("host")
    assert Images(host=host, named={"pressplay/runner": Image("runner")}).lookup(name) is host


def test_a_registrys_port_is_no_tag() -> None:
    runner = Image("runner")
    known = Images(host=Image("host"), named={"registry:5000/runner": runner})
    assert known.lookup("registry:5000/runner:2") is runner


def test_the_host_image_never_shows_the_whole_host(host: Image) -> None:
    assert {bind.target for bind in host.binds} <= {
        *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
    }
    assert "/usr" in {bind.target for bind in host.binds}


def test_links_beside_usr_stay_links(host: Image) -> None:
    for path, goal in host.links:
        assert Path(path).is_symlink()
        assert str(Path(path).readlink()).lstrip("/") == goal
    assert all(Path(bind.target).is_symlink() is False for bind in host.binds)


def test_the_runner_image_starts_with_the_interpreter_that_runs_us(host: Image) -> None:
    runner = images.runner_image(host)
    assert runner.path[0] == str(Path(sys.executable).parent)
    assert runner.env["PYTHONSAFEPATH"] == "1"
    assert runner.env["LANG"] == "C.UTF-8"
    assert runner.env["HOME"] == "/home/step"
    for needed in (sys.executable, os.path.realpath(sys.executable), pressplay.__file__):
        shown = runner.on_host(str(needed))
        assert shown is not None, needed
        assert shown.exists()


def test_binds_can_be_added_without_changing_the_image(host: Image, tmp_path: Path) -> None:
    added = host.with_binds(Bind(tmp_path, "/opt/agent"), path=("/opt/agent/bin",))
    assert added.on_host("/opt/agent/bin/x") == tmp_path / "bin" / "x"
    assert added.path == (*host.path, "/opt/agent/bin")
    assert host.on_host("/opt/agent/bin/x") is None


def test_a_toolchain_is_searched_before_the_systems_own(host: Image, tmp_path: Path) -> None:
    runner = images.runner_image(host)
    added = runner.with_toolchain(tmp_path / "rust", programs=tmp_path / "rust/bin")
    assert added.path == (runner.path[0], str(tmp_path / "rust/bin"), *runner.path[1:])
    assert added.on_host(f"{tmp_path}/rust/lib/x") == tmp_path / "rust/lib/x"


def test_the_systems_own_toolchain_is_there_already(host: Image) -> None:
    added = host.with_toolchain(Path("/usr"), programs=Path("/usr/bin"))
    assert (added.binds, added.path) == (host.binds, host.path)


def test_a_path_beside_the_binds_is_not_the_images(host: Image) -> None:
    assert host.on_host("/usrlocal") is None
    assert host.on_host("/etc/passwd") is None
    assert host.on_host("/usr/bin/env") == Path("/usr/bin/env")
    if ("/bin", "usr/bin") in host.links:
        assert host.on_host("/bin/env") == Path("/usr/bin/env")


def test_etc_holds_names_and_certificates_and_no_secret(tmp_path: Path) -> None:
    etc.prepare(tmp_path / "etc")
    names = {each.name for each in (tmp_path / "etc").iterdir()}
    assert {"passwd", "group"} <= names
    assert not names & {"shadow", "gshadow", "sudoers", "ssh", "machine-id"}
    assert not list((tmp_path / "etc").rglob("private"))
    assert "step:x:1000:1000" in (tmp_path / "etc" / "passwd").read_text()


def test_links_in_etc_lead_nowhere_but_to_the_image(tmp_path: Path) -> None:
    etc.prepare(tmp_path / "etc")
    for each in (tmp_path / "etc").rglob("*"):
        if each.is_symlink() and each.readlink().is_absolute():
            assert each.readlink().parts[1] == "usr"


def test_etc_follows_the_hosts_name_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "host-etc"
    fake.mkdir()
    (fake / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    monkeypatch.setattr(etc, "_HOST", fake)
    folder = tmp_path / "etc"
    etc.prepare(folder)
    assert (folder / "resolv.conf").read_text() == "nameserver 192.0.2.1\n"
    before = (folder / "resolv.conf").stat().st_ino
    etc.refresh(folder)
    assert (folder / "resolv.conf").stat().st_ino == before
    (fake / "resolv.conf").write_text("nameserver 192.0.2.2\n")
    os.utime(fake / "resolv.conf", ns=(1, 1))
    etc.refresh(folder)
    assert (folder / "resolv.conf").read_text() == "nameserver 192.0.2.2\n"
    (fake / "resolv.conf").unlink()
    etc.refresh(folder)
    assert (folder / "resolv.conf").exists()
