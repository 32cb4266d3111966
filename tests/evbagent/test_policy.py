"""The marks that guests' devices carry."""

import pytest

from evbagent.policy import POLICIES, VLAN_MARK, mark, marked_policy, marked_vsi

INSTANCE = "a0b1c2d3-0000-4000-8000-000000000001"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("vsi", [None, INSTANCE, "local:" + "0" * 32])
def test_a_mark_is_read_back(policy: str, vsi: str | None) -> None:
    alias = mark(policy, vsi)
    assert (marked_policy(alias), marked_vsi(alias)) == (policy, vsi)
    assert len(alias) < 256, "the kernel's limit"


def test_the_two_forms() -> None:
    assert mark("veb") == "evbagent:veb"
    assert mark("prefer-vepa", INSTANCE) == f"evbagent:prefer-vepa vsi={INSTANCE}"


@pytest.mark.parametrize(
    "alias",
    [
        "",
        "evbagent:",
        "evbagent:vepa",
        "evbagent:vepa vsi=1",
        "evbagent:veb ",
        "evbagent:veb vsi=",
        "evbagent:veb vsi=1 2",
        "evbagent:veb vsi=1 vsi=2",
        "evbagent:veb uplink=eth0",
        "evbagent: vsi=1",
        " evbagent:veb",
        VLAN_MARK,
    ],
)
def test_what_is_not_ours(alias: str) -> None:
    assert marked_policy(alias) is None and marked_vsi(alias) is None
