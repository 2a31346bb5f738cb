"""Where this machine's user gets packages from, as far as walled-in steps may know it.

Addresses only, from the settings of pip, npm and cargo. A step that runs a repository's code must
not hold a password: what needs one is left out and named.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIP, NPM, CARGO = "pip.conf", "npmrc", "cargo.toml"
"""Names of the files, as keys of the ConfigMap `registry-config`."""

_ADDRESS = re.compile(
    r"(?:sparse\+)?(?P<scheme>[a-z+]+)://(?P<user>[^/@]*@)?"
    r"(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)(?P<port>:[0-9]{1,5})?(?:/[!-~]*)?"
)
_NPM_LINE = re.compile(r"\s*((?:@[a-z0-9._~-]+:)?registry)\s*=\s*[\"']?([^\"'\s]+)[\"']?\s*")
_FILE_LIMIT = 256 * 1024


@dataclass(frozen=True)
class Registries:
    """Further hosts for PRESSPLAY_REGISTRIES, the clients' settings, and what was left out."""

    hosts: tuple[str, ...]
    files: Mapping[str, str]
    left_out: tuple[str, ...]


class _Unfit(Exception):
    """An address that a step cannot use; the message says why."""


def of_user(home: Path, variables: Mapping[str, str], *, etc: Path = Path("/etc")) -> Registries:
    """The settings of the user whose home and environment these are. Raises nothing."""
    readers: dict[str, Callable[[], tuple[str, list[str]]]] = {
        PIP: lambda: _pip(_pip_files(home, variables, etc), variables),
        NPM: lambda: _npm(home, variables),
        CARGO: lambda: _cargo(Path(variables.get("CARGO_HOME") or home / ".cargo")),
    }
    hosts: list[str] = []
    files: dict[str, str] = {}
    left_out: list[str] = []
    for name, read in readers.items():
        files[name] = ""
        try:
            text, addresses = read()
            hosts += [_host(each) for each in addresses]
            files[name] = text
        except _Unfit as error:
            left_out.append(f"{name}: {error}")
        except (OSError, ValueError, TypeError, AttributeError, configparser.Error) as error:
            left_out.append(f"{name}: cannot be read ({type(error).__name__})")
    return Registries(tuple(dict.fromkeys(hosts)), files, tuple(left_out))


def _pip_files(home: Path, variables: Mapping[str, str], etc: Path) -> Iterator[Path]:
    """In the order in which pip reads them: a later one counts more."""
    yield etc / "pip.conf"
    yield home / ".pip" / "pip.conf"
    yield Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    if variables.get("PIP_CONFIG_FILE"):
        yield Path(variables["PIP_CONFIG_FILE"])


def _pip(files: Iterator[Path], variables: Mapping[str, str]) -> tuple[str, list[str]]:
    found: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        parser.read_string(_text(path))
        for section in ("global", "install"):
            for key in ("index-url", "extra-index-url"):
                found[key] = parser.get(section, key, fallback=found.get(key, ""))
    for key in ("index-url", "extra-index-url"):
        variable = f"PIP_{key.replace('-', '_').upper()}"
        found[key] = variables.get(variable) or found.get(key, "")
    lines = [f"{key} = {' '.join(each.split())}\n" for key, each in found.items() if each]
    text = "".join(["[global]\n", *lines]) if lines else ""
    return text, [each for value in found.values() for each in value.split()]


def _npm(home: Path, variables: Mapping[str, str]) -> tuple[str, list[str]]:
    path = variables.get("NPM_CONFIG_USERCONFIG") or variables.get("npm_config_userconfig")
    text = _text(Path(path) if path else home / ".npmrc")
    matches = [_NPM_LINE.fullmatch(line) for line in text.splitlines()]
    found = {each[1]: each[2] for each in matches if each}
    for variable in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        found |= {"registry": variables[variable]} if variables.get(variable) else {}
    lines = [f"{key}={address}\n" for key, address in found.items()]
    return "".join(lines), list(found.values())


def _cargo(home: Path) -> tuple[str, list[str]]:
    config: dict[str, Any] = tomllib.loads(_text(home / "config.toml") or _text(home / "config"))
    addresses, lines = [], []
    for table, keys in (("source", ("registry", "replace-with")), ("registries", ("index",))):
        for name, values in config.get(table, {}).items():
            lines.append(f"[{table}.{json.dumps(name)}]")
            lines += [f"{key} = {json.dumps(values[key])}" for key in keys if key in values]
            addresses += [values[key] for key in ("registry", "index") if key in values]
            if {"directory", "local-registry"} & set(values):
                raise _Unfit(f"source {name} is a folder of this machine, which no step sees")
    return "".join(f"{line}\n" for line in lines), addresses


def _host(address: str) -> str:
    """As PRESSPLAY_REGISTRIES names it. Raises _Unfit."""
    found = _ADDRESS.fullmatch(address)
    if found is None or found["scheme"] != "https":
        raise _Unfit(
            "a registry's address is not https://HOST; steps reach registries that way only"
        )
    if found["user"]:
        raise _Unfit(f"{found['host']} needs a password, which no step may hold")
    port = found["port"] or ""
    return found["host"].lower() + ("" if port == ":443" else port)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as reader:
            return reader.read(_FILE_LIMIT).decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""
