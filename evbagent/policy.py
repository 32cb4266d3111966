"""The modes and policies of contract section 3, and the marks on devices that carry one."""

from collections.abc import Mapping

MARK = "evbagent:"
VLAN_MARK = MARK + "vlan"
POLICIES = ("prefer-vepa", "require-vepa", "veb", "private")
MACVLAN_MODES: Mapping[str, str] = {"vepa": "vepa", "veb": "bridge", "private": "private"}

_VSI = " vsi="


def mark(policy: str, vsi: str | None = None) -> str:
    """The alias for a device under this policy, of a guest with this VSI."""
    return MARK + policy + (_VSI + vsi if vsi else "")


def marked_policy(alias: str) -> str | None:
    """The policy in an interface alias of ours; None for anybody else's device."""
    return _marks(alias)[0]


def marked_vsi(alias: str) -> str | None:
    """The VSI instance in an interface alias of ours; None where there is none, and for anybody else's device."""
    return _marks(alias)[1]


def _marks(alias: str) -> tuple[str | None, str | None]:
    if not alias.startswith(MARK):
        return None, None
    policy, separator, vsi = alias.removeprefix(MARK).partition(_VSI)
    if policy not in POLICIES or (separator and (not vsi or " " in vsi)):
        return None, None
    return policy, vsi or None
