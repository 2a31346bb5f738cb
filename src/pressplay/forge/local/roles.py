"""What a person may do in a repository, as its operator said."""

from __future__ import annotations

from pressplay.forge.local.actors import Actor, Installation, Person
from pressplay.forge.local.asking import Hub
from pressplay.forge.local.rows import CollaboratorRow, RepositoryRow

LEGACY = {"maintain": "write", "triage": "read"}
"""GitHub's `permission` knows four words only; `role_name` has the role itself."""

WRITING = ("admin", "maintain", "write")


def role_of(hub: Hub, repository: RepositoryRow, login: str) -> str:
    """admin, maintain, write, triage, read or none; the account's owner administers."""
    if login.lower() in (repository.owner.lower(), hub.operator_login.lower()):
        return "admin"
    found = hub.store.find(
        CollaboratorRow, "find_collaborator", repository_id=repository.id, login=login
    )
    if found is not None:
        return found.permission
    return "none" if repository.private else "read"


def may_write(hub: Hub, repository: RepositoryRow, actor: Actor) -> bool:
    """Whether `actor` may change the repository's contents."""
    match actor:
        case Person(login=login):
            return role_of(hub, repository, login) in WRITING
        case Installation():
            return actor.may("contents", "write")
        case _:
            return False
