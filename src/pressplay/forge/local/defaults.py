"""What is so in the local forge where nobody said otherwise; light, for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PROTECTION: Mapping[str, object] = MappingProxyType(
    {
        "required_status_checks": None,
        "enforce_admins": False,
        "required_pull_request_reviews": {"required_approving_review_count": 0},
        "restrictions": None,
    }
)
"""Of the default branch: changes come by pull request only; administrators may pass."""
