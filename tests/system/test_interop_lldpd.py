"""The agent and lldpd: a switch that only speaks ordinary LLDP, and a neighbour beside the one that negotiates."""

from pathlib import Path

import pytest

from tests.support.agent import Agent, neighbors
from tests.support.namespaces import wait_until
from tests.support.peers import Lldpad, LldpadPort, Lldpd, RatifiedEvb
from tests.support.rig import BRIDGE_MAC, STATION_MAC, Cable

pytestmark = pytest.mark.system

# lldpd knows one neighbor for an MSAP, whatever the scope: what it shows is what it heard last.
CONFIG = """
[lldp]
admin-status.nearest-bridge = "rx-only"
system-name = "host-a"
system-description = "a test"
management-addresses = ["192.0.2.1"]
"""


def test_a_switch_without_evb(cable: Cable, tmp_path: Path) -> None:
    """The answer is `inactive` and `veb`, whatever scope lldpd speaks in; lldpcli shows us as we are meant."""
    lldpd = Lldpd(cable.bridge, tmp_path, [cable.port])
    agent = Agent(cable.station, tmp_path, [cable.uplink], config=CONFIG)
    with lldpd, agent:
        lldpd.cli("update")  # what it sends of itself may have been before the agent listened
        uplink = agent.wait_for_relay(cable.uplink, "inactive", reason="speaks LLDP but not EVB")
        assert uplink["forwarding"]["mode"] == "veb" and uplink["forwarding"]["edition"] is None
        assert agent.evbagent("mode", cable.uplink).stdout == "veb\n"
        refused = agent.evbagent("mode", cable.uplink, "--policy", "require-vepa", check=False)
        assert refused.returncode == 3 and "speaks LLDP but not EVB" in refused.stderr

        [neighbor] = neighbors(uplink, "nearest-bridge")
        assert neighbor["chassis-id"] == neighbor["source-mac-address"] == BRIDGE_MAC.hex(":")
        assert neighbor["port-desc"] == cable.port and neighbor["system-name"] == cable.bridge.name
        assert "mac-bridge" in neighbor["system-capabilities-supported"]
        # 802.3 MAC/PHY: kept and passed on, though we do nothing with it.
        assert ("00-12-0f", 1) in [
            (tlv["info-identifier"], tlv["info-subtype"]) for tlv in neighbor["remote-org-defined-info"]
        ]

        [shown] = wait_until(lambda: lldpd.neighbors(cable.port), "lldpd knows us")
        [chassis], [port] = shown["chassis"], shown["port"]
        assert chassis["id"] == [{"type": "mac", "value": STATION_MAC.hex(":")}]
        assert chassis["name"] == [{"value": "host-a"}] and chassis["descr"] == [{"value": "a test"}]
        assert chassis["mgmt-ip"] == [{"value": "192.0.2.1"}]
        assert chassis["capability"] == [{"type": "Station", "enabled": True}]
        assert port["id"] == [{"type": "mac", "value": STATION_MAC.hex(":")}]
        assert port["descr"] == [{"value": cable.uplink}] and port["ttl"] == [{"value": "121"}]
        [unknown] = shown["unknown-tlvs"][0]["unknown-tlv"]
        assert (unknown["oui"], unknown["subtype"], unknown["value"]) == ("00,80,C2", "13", "00,07,6E,94,14")

        for scope in ("nearest-customer-bridge", "nearest-non-tpmr-bridge"):
            lldpd.cli("configure", "lldp", "agent-type", scope)
            lldpd.cli("update")
            agent.wait_for(
                cable.uplink, lambda uplink, scope=scope: len(neighbors(uplink, scope)) == 1, f"lldpd in {scope}"
            )
        assert agent.uplink(cable.uplink)["forwarding"]["reflective-relay"] == "inactive"

        # Another port ID is another neighbour: the old one says goodbye. (Elsewhere lldpd leaves it to its TTL.)
        lldpd.cli("configure", "lldp", "portidsubtype", "ifname")
        lldpd.cli("update")
        agent.wait_for(
            cable.uplink,
            lambda uplink: [neighbor["port-id"] for neighbor in neighbors(uplink, scope)] == [cable.port],
            "one neighbor under its new name",
        )
        assert agent.stop() == 0
        wait_until(lambda: not lldpd.neighbors(cable.port), "lldpd has heard our goodbye")


def test_lldpd_beside_the_bridge_that_negotiates(cable: Cable, tmp_path: Path) -> None:
    """lldpd at both ends, and lldpad for EVB at the far one: each keeps to its own, in whatever scope lldpd speaks."""
    agent = Agent(cable.station, tmp_path, [cable.uplink], config=CONFIG)
    ours = Lldpd(cable.station, tmp_path, [cable.uplink])
    theirs = Lldpd(cable.bridge, tmp_path, [cable.port])
    bridge = LldpadPort(evb=RatifiedEvb(mode="bridge", rr_capable=True))
    lldpad = Lldpad(cable.bridge, tmp_path, {cable.port: bridge})
    with agent, ours, theirs, lldpad:
        agent.wait_for_relay(cable.uplink, "active")
        agent.wait_for(cable.uplink, lambda uplink: len(neighbors(uplink, "nearest-bridge")) == 1, "lldpd too")
        wait_until(lambda: ours.neighbors(cable.uplink), "lldpd beside us knows the lldpd over there")

        # In the same scope as lldpad: one more neighbour there, which claims nothing.
        theirs.cli("configure", "lldp", "portidsubtype", "ifname")
        theirs.cli("configure", "lldp", "agent-type", "nearest-customer-bridge")
        theirs.cli("update")
        uplink = agent.wait_for(cable.uplink, lambda uplink: len(neighbors(uplink)) == 2, "both in one scope")
        assert uplink["forwarding"]["reflective-relay"] == "active" and not uplink["warnings"]

        # The negotiating one leaves, the other is still there; then it is alone again.
        lldpad.stop()
        agent.wait_for_relay(cable.uplink, "inactive", reason="speaks LLDP but not EVB")
        assert theirs.stop() == 0
        agent.wait_for(cable.uplink, lambda uplink: not neighbors(uplink), "lldpd has left too")
