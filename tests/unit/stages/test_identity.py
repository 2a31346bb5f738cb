"""token: which permissions may be asked for."""

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import identity


def test_permissions_are_read_from_the_command_line() -> None:
    argv = ("--permissions", "contents=read,pull_requests=write,metadata=read")
    assert identity.read_permissions(argv) == {
        "contents": "read",
        "pull_requests": "write",
        "metadata": "read",
    }


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("--permissions",),
        ("--permissions", ""),
        ("--permissions", "contents"),
        ("--permissions", "contents=admin"),
        ("--permissions", "metadata=write"),
        ("--permissions", "administration=read"),
        ("--permissions", "workflows=write"),
        ("--permissions", "contents=read,contents=write"),
        ("--other", "contents=read"),
        ("--permissions", "contents=read", "more"),
    ],
)
def test_nothing_beyond_what_a_token_of_ours_may_have_is_asked_for(argv: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        identity.read_permissions(argv)
