"""The REST face: every endpoint of the double, in the order in which paths are tried."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount

from pressplay.forge.local.alarms import Alarms
from pressplay.forge.local.asking import Door, Hub
from pressplay.forge.local.checks import Checks
from pressplay.forge.local.hooks import Hooks
from pressplay.forge.local.installations import Installations
from pressplay.forge.local.issues import Issues
from pressplay.forge.local.merging import Merging
from pressplay.forge.local.operating import PERSON, Operating
from pressplay.forge.local.protections import Protections
from pressplay.forge.local.pulls import Pulls
from pressplay.forge.local.repositories import Repositories
from pressplay.forge.local.review_comments import ReviewComments
from pressplay.forge.local.reviews import Reviews
from pressplay.forge.local.rulesets import Rulesets

API = "/api/v3"
"""Where GitHub Enterprise Server has it, so that its clients need only an address."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Routes of the root application. The alarm comes first: nothing may stand before it."""
    door, operating, hooks = Door(hub), Operating(hub), Hooks(hub)
    alarms = Alarms(hub, merge=door.endpoint(needs=PERSON, to=Merging(hub).merge))
    api: list[BaseRoute] = [
        *alarms.rest_routes(),
        *Installations(hub).routes(door),
        *hooks.routes(door),
        *Issues(hub).routes(door),
        *Reviews(hub).routes(door),
        *ReviewComments(hub).routes(door),
        *Pulls(hub).routes(door),
        *Checks(hub).routes(door),
        *operating.rest_routes(door),
        *Protections(hub).routes(door),
        *Rulesets(hub).routes(door),
        *Repositories(hub).routes(door),
    ]
    return [
        *alarms.root_routes(),
        *operating.root_routes(door),
        *hooks.root_routes(door),
        Mount(API, routes=api),
    ]
