"""The modes and policies of contract section 3, and the mark on devices that carry one."""

from collections.abc import Mapping

MARK = "evbagent:"
POLICIES = ("prefer-vepa", "require-vepa", "veb", "private")
MACVLAN_MODES: Mapping[str, str] = {"vepa": "vepa", "veb": "bridge", "private": "private"}


def marked_policy(alias: str) -> str | None:
    """The policy in an interface alias of ours; None for anybody else's device."""
    if not alias.startswith(MARK):
        return None
    policy = alias.removeprefix(MARK)
    return policy if policy in POLICIES else None


def mark(policy: str) -> str:
    """The alias for a device under this policy."""
    return MARK + policy
