"""What docs/architecture.md says of the rooms, against what the import contracts hold."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_the_table_of_rooms_names_the_storeys_that_the_contracts_hold() -> None:
    config = configparser.ConfigParser()
    config.read(_ROOT / ".importlinter")
    lines = config["importlinter:contract:storeys"]["layers"].split("\n")
    layers = [set(line.replace("|", " ").split()) for line in lines if line.strip()]
    table = (_ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (\d) \| `(\w+)` \|", table, re.MULTILINE)
    told: dict[int, set[str]] = {}
    for storey, room in rows:
        told.setdefault(int(storey), set()).add(room)
    assert [told[storey] for storey in sorted(told, reverse=True)] == layers


def test_every_room_says_what_it_never_does() -> None:
    rooms = [each for each in (_ROOT / "src" / "pressplay").iterdir() if each.is_dir()]
    for room in rooms:
        if room.name not in ("samples", "__pycache__"):
            assert '"""' in (room / "__init__.py").read_text(), room.name
