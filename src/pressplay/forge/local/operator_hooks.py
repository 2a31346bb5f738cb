"""The operator's side of webhooks: where Apps and repositories are told of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pressplay.forge import records
from pressplay.forge.local.operator import Operator


@dataclass(frozen=True)
class Delivery:
    """One event that was, or will be, told; `status_code` is 0 where no answer came."""

    id: int
    guid: str
    event: str
    action: str
    redelivery: bool
    status: str
    status_code: int
    duration: float


class OperatorHooks:
    """Webhooks by the operator's credentials."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def set_app_hook(self, slug: str, *, url: str, secret: str, events: Sequence[str]) -> None:
        """The one webhook of an App: it is told of these events in every repository."""
        body = {"config": _config(url, secret), "events": list(events)}
        self._operator.ask("PUT", f"_pressplay/apps/{slug}/hook", body=body)

    def add_hook(
        self, owner: str, repo: str, *, url: str, secret: str, events: Sequence[str]
    ) -> int:
        """A webhook of one repository; answers its id."""
        body = {"name": "web", "config": _config(url, secret), "events": list(events)}
        made = self._operator.ask("POST", _hooks(owner, repo), body=body)
        return records.read(lambda it: int(it["id"]), made)

    def drop_hook(self, owner: str, repo: str, hook_id: int) -> None:
        """Take a webhook away; what still waits for it is not sent."""
        self._operator.ask("DELETE", f"{_hooks(owner, repo)}/{hook_id}")

    def deliveries(self, owner: str, repo: str, hook_id: int) -> tuple[Delivery, ...]:
        """The last hundred, newest first."""
        path = f"{_hooks(owner, repo)}/{hook_id}/deliveries?per_page=100"
        return tuple(records.read(_delivery, it) for it in self._operator.ask("GET", path))

    def redeliver(self, owner: str, repo: str, hook_id: int, *, delivery_id: int) -> None:
        """Send one again, under the same GUID."""
        path = f"{_hooks(owner, repo)}/{hook_id}/deliveries/{delivery_id}/attempts"
        self._operator.ask("POST", path)


def _hooks(owner: str, repo: str) -> str:
    return f"api/v3/repos/{owner}/{repo}/hooks"


def _config(url: str, secret: str) -> dict[str, str]:
    return {"url": url, "secret": secret, "content_type": "json", "insecure_ssl": "0"}


def _delivery(document: Any) -> Delivery:  # noqa: ANN401 - JSON enters here
    return Delivery(
        id=int(document["id"]),
        guid=document["guid"],
        event=document["event"],
        action=document["action"] or "",
        redelivery=bool(document["redelivery"]),
        status=document["status"],
        status_code=int(document["status_code"]),
        duration=float(document["duration"]),
    )
