"""The arrangement most system tests start from: a station's uplink on a cable to a bridge's port."""

from dataclasses import dataclass

from tests.support.namespaces import Namespace, link_pair

STATION_MAC = bytes.fromhex("02000000000a")
BRIDGE_MAC = bytes.fromhex("02000000000b")


@dataclass(frozen=True, slots=True)
class Cable:
    station: Namespace
    bridge: Namespace
    uplink: str  # the station's interface, STATION_MAC
    port: str  # the bridge's interface, BRIDGE_MAC


def make_cable(station: Namespace, bridge: Namespace, uplink: str = "veth0", port: str = "veth1") -> Cable:
    link_pair(station, uplink, bridge, port, left_mac=STATION_MAC.hex(":"), right_mac=BRIDGE_MAC.hex(":"))
    return Cable(station, bridge, uplink, port)
