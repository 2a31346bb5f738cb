"""The REST face: every endpoint of the double, in the order in which paths are tried."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount

from pressplay.forge.local.alarms import Alarms
from pressplay.forge.local.asking import Door, Hub
from pressplay.forge.local.checks import Checks
from pressplay.forge.local.installations import Installations
from pressplay.forge.local.issues import Issues
from pressplay.forge.local.operating import Operating
from pressplay.forge.local.pulls import Pulls
from pressplay.forge.local.repositories import Repositories
from pressplay.forge.local.reviews import Reviews

API = "/api/v3"
"""Where GitHub Enterprise Server has it, so that its clients need only an address."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Routes of the root application. The alarm comes first: nothing may stand before it."""
    door, alarms, operating = Door(hub), Alarms(hub), Operating(hub)
    api: list[BaseRoute] = [
        *alarms.rest_routes(),
        *Installations(hub).routes(door),
        *Issues(hub).routes(door),
        *Reviews(hub).routes(door),
        *Pulls(hub).routes(door),
        *Checks(hub).routes(door),
        *operating.rest_routes(door),
        *Repositories(hub).routes(door),
    ]
    return [
        *alarms.root_routes(),
        *operating.root_routes(door),
        Mount(API, routes=api),
    ]
