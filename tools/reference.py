"""Make the reference pages that follow from the code: the command line and the policy file.

python tools/reference.py FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import click

from pressplay.cli import main


def command_line() -> str:
    """Every verb's help."""
    parts = ["# Command line\n", *_help(main.cli, "pressplay")]
    return "\n".join(parts)


def _help(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, terminal_width=80)
    yield f"## `{name}`\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            if found is not None:
                yield from _help(found, f"{name} {each}")


def policy() -> str:
    """The keys of `.pressplay.yaml`, from its schema."""
    text = (resources.files("pressplay.api") / "policy.schema.json").read_text()
    schema = json.loads(text)
    rows = "\n".join(_rows(schema, "", schema))
    return (
        "# `.pressplay.yaml`\n\nRead from the base branch only.\n\n"
        f"| key | type | meaning |\n|---|---|---|\n{rows}\n"
    )


def _rows(schema: dict[str, Any], path: str, root: dict[str, Any]) -> Iterator[str]:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if path:
        kind = schema.get("type", "")
        kind = kind if isinstance(kind, str) else " or ".join(kind)
        prose = " ".join(str(schema.get("description", "")).split()).replace("|", "\\|")
        yield f"| `{path}` | {kind} | {prose} |"
    for name, inner in schema.get("properties", {}).items():
        yield from _rows(inner, f"{path}.{name}".strip("."), root)
    if isinstance(schema.get("items"), dict):
        yield from _rows(schema["items"], f"{path}[]", root)


def write(folder: Path) -> None:
    """Write every page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "command-line.md").write_text(command_line())
    (folder / "policy.md").write_text(policy())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
