"""What is said about others, and what to do: every finding in words, and nothing where nothing is wrong."""

from dataclasses import replace

import pytest

from evbagent.advice import Evidence, PortFacts, company, device_names, warnings
from evbagent.firmware import LLD_MANAGED, Firmware, PrivateFlag
from evbagent.networkd import Emission
from evbagent.overheard import Announcement
from evbagent.procfs import Program
from protocols.frame import Scope

MAC = bytes.fromhex("02000000000a")
OTHER = bytes.fromhex("02000000000b")
NB, NTB, NCB = Scope.NEAREST_BRIDGE, Scope.NEAREST_NON_TPMR_BRIDGE, Scope.NEAREST_CUSTOMER_BRIDGE
PORT = PortFacts("eth0", MAC, True, False, False, (4, MAC, 3, MAC), {NCB: 5})
EVERYWHERE = replace(PORT, sends={NB: 5, NTB: 5, NCB: 5})
LLDPD, LLDPAD = Program("lldpd", 12), Program("lldpad", 34)
NETWORKD, MANAGER = Program("systemd-networkd", 56), Program("NetworkManager", 78)
FILE = "/etc/systemd/network/10-eth0.network"


def announced(scope: Scope = NB, source: bytes = MAC, port: bytes = b"eth0", evb: bool = False) -> Announcement:
    return Announcement(source, scope, (4, MAC, 5, port), "02:00:00:00:00:0a", port.decode(), "", evb)


def networkd_s(scope: Scope = NB) -> Announcement:
    return Announcement(MAC, scope, (7, b"7d3a219c73dc5340caa1f6d2ba84fdad", 5, b"eth0"), "7d3a...", "eth0")


def said(found: Evidence, port: PortFacts = PORT) -> str:
    [text] = warnings(port, found)
    assert text.isprintable() and warnings(port, found) == (text,), "stable"
    return text


@pytest.mark.parametrize(
    "found",
    [
        Evidence(),
        Evidence(programs=(LLDPD, LLDPAD, NETWORKD, MANAGER)),
        Evidence(programs=(LLDPD,), overheard=(announced(),)),
        Evidence(programs=(NETWORKD,), emission=Emission(NB, FILE), overheard=(networkd_s(),)),
        Evidence(overheard=(replace(announced(NB, OTHER), evb=True),)),
        Evidence(firmware=Firmware((PrivateFlag("fw-lldp-agent", False), PrivateFlag("disable-fw-lldp", True)), 0x09)),
        Evidence(ourselves={PORT.msap: "eth0", (4, OTHER, 3, OTHER): "eth1"}),
    ],
)
def test_nothing_is_wrong(found: Evidence) -> None:
    """Others announce in the scopes in which this agent only listens, or only listen, or are not heard at all."""
    assert warnings(PORT, found) == ()


# Rivals.


def test_that_there_are_more_than_can_be_named() -> None:
    assert warnings(PORT, Evidence(unnamed=184)) == (
        "LLDPDUs of 184 more senders leave here, or of one that makes up names",
    )


def test_lldpd_announces_too() -> None:
    assert said(Evidence(programs=(LLDPD,), overheard=(announced(),)), EVERYWHERE) == (
        "lldpd (pid 12) announces this host in scope nearest-bridge too, as 02:00:00:00:00:0a port eth0: the switch"
        " sees two neighbors on this port: `lldpcli configure ports eth0 lldp status rx-only`, or"
        ' nearest-bridge = "rx-only" in [lldp.admin-status] of this agent'
    )


@pytest.mark.parametrize(("scope", "word"), [(NB, "nb"), (NTB, "nntpmrb"), (NCB, "ncb")])
def test_lldpad_announces_too(scope: Scope, word: str) -> None:
    text = said(Evidence(programs=(LLDPAD,), overheard=(announced(scope, evb=True),)), EVERYWHERE)
    assert text.startswith(f"lldpad (pid 34) announces this host in scope {scope} too, as ")
    assert ", and negotiates EVB: the switch sees two" in text
    assert f"`lldptool -L -i eth0 -g {word} adminStatus=rx`" in text
    assert ("in [lldp.admin-status]" in text) is (scope is not NCB), "EVB lives there: it has to be this agent"


def test_networkd_announces_too() -> None:
    expected = (
        "systemd-networkd (pid 56) announces this host in scope nearest-bridge too: the switch sees two neighbors on"
        f' this port: EmitLLDP=no in {FILE}, or nearest-bridge = "rx-only" in [lldp.admin-status] of this agent'
    )
    emission = Emission(NB, FILE)
    assert said(Evidence(programs=(NETWORKD,), emission=emission), EVERYWHERE) == expected
    heard = Evidence(programs=(NETWORKD, LLDPD), emission=emission, overheard=(networkd_s(),))
    assert said(heard, EVERYWHERE) == expected, "the same when it was heard"
    unread = said(Evidence(programs=(LLDPD,), overheard=(networkd_s(),)), EVERYWHERE)
    assert unread.startswith("systemd-networkd announces") and "EmitLLDP=no in its .network file" in unread


def test_whoever_it_is() -> None:
    overheard = (announced(),)
    text = said(Evidence(programs=(LLDPD, LLDPAD, MANAGER), overheard=overheard), EVERYWHERE)
    assert text.startswith("lldpd (pid 12) or lldpad (pid 34) announces")
    assert (
        "`lldpcli configure ports eth0 lldp status rx-only`, or `lldptool -L -i eth0 -g nb adminStatus=rx`, or" in text
    )
    assert said(Evidence(overheard=overheard), EVERYWHERE).startswith("another program announces")
    text = said(Evidence(overheard=(announced(NCB),)), EVERYWHERE)
    assert text.endswith("two neighbors on this port: let only one of them send")


def test_under_our_own_name() -> None:
    assert said(Evidence(programs=(LLDPAD, MANAGER), same_name=frozenset({NCB}))) == (
        "lldpad (pid 34) sends LLDPDUs in scope nearest-customer-bridge under this agent's own chassis and port ID: the"
        " switch takes both for one system whose word keeps changing: `lldptool -L -i eth0 -g ncb adminStatus=rx`"
    )
    assert len(warnings(EVERYWHERE, Evidence(same_name=frozenset({NB, NCB})))) == 2


def test_another_evbagent() -> None:
    twin = Program("evbagent", 9)
    expected = (
        "another evbagent (pid 9) serves eth0 too: end one of the two, or give each interfaces of its own (`interfaces`"
        " in its configuration, `--interface`)"
    )
    assert said(Evidence(programs=(twin,))) == expected
    heard = Evidence(programs=(twin,), same_name=frozenset({NCB}), overheard=(announced(NCB),))
    assert said(heard) == expected, "what it sends needs no word of its own"


def test_a_guest() -> None:
    text = replace(announced(NCB, OTHER), system="vm1")
    owners = {OTHER: "guest0"}
    silenced = "turn LLDP off in it, or drop its frames of EtherType 0x88cc before they leave"
    assert said(Evidence(overheard=(text,), owners=owners)) == (
        "LLDPDUs of guest0 (vm1) leave here in scope nearest-customer-bridge: whoever is at the other end takes it for"
        f" a neighbor of its own: {silenced}"
    )
    unknown = said(Evidence(overheard=(replace(text, evb=True),)))
    assert unknown.startswith(
        "LLDPDUs of 02:00:00:00:00:0b (vm1), which is not this interface, leave here in scope"
        " nearest-customer-bridge, with an EVB TLV: "
    )
    forwarded = said(Evidence(overheard=(text,), bridge="br0"))
    assert forwarded.endswith("`ip link set br0 type bridge stp_state 1` keeps the bridge from forwarding them")
    assert said(Evidence(overheard=(announced(NB, OTHER),), bridge="br0"), EVERYWHERE).endswith(silenced)


# Our own frames.


def test_our_own_frames_come_back() -> None:
    echoes = Evidence(echoes=True)
    assert "a loop, or a switch port in hairpin mode" in said(echoes)
    assert "bridge stp_state 1" in said(echoes, replace(PORT, relay_active=True))
    behind = said(echoes, replace(PORT, bridge=True, relay_active=True))
    assert "a loop behind this port" in behind
    assert all("they are ignored" in text for text in (said(echoes), behind))


def test_our_own_other_interface_is_the_neighbor() -> None:
    other = (4, MAC, 3, OTHER)
    port = replace(PORT, neighbors=frozenset({other, (4, OTHER, 3, OTHER)}))
    text = said(Evidence(ourselves={PORT.msap: "eth0", other: "eth1"}), port)
    assert text.startswith("the neighbor is this agent itself, on eth1: ")


# Firmware, and silence.


def test_firmware_that_speaks_lldp() -> None:
    ice = Evidence(firmware=Firmware((PrivateFlag("fw-lldp-agent", True),), LLD_MANAGED), silent=True)
    assert said(ice) == (
        "the NIC's firmware has an LLDP agent of its own, which takes the frames (private flag fw-lldp-agent is on):"
        " `ethtool --set-priv-flags eth0 fw-lldp-agent off` turns it off, and may reset the link"
    )
    i40e = said(Evidence(firmware=Firmware((PrivateFlag("disable-fw-lldp", False),))))
    assert "(private flag disable-fw-lldp is off)" in i40e and "eth0 disable-fw-lldp on`" in i40e
    for port in (replace(PORT, heard=1), replace(PORT, own=1)):
        assert warnings(port, ice) == (), "it lets LLDP pass"


def test_firmware_that_runs_dcbx() -> None:
    text = said(Evidence(firmware=Firmware((), LLD_MANAGED | 0x08), silent=True))
    assert text.startswith("the NIC's firmware or driver runs DCBX") and "`ethtool -i eth0`" in text


def test_a_hint_where_nothing_is_heard() -> None:
    text = said(Evidence(silent=True, firmware=Firmware()))
    assert text.startswith("hint: no LLDP has been heard here though other frames come in")
    assert "`ethtool --show-priv-flags eth0`" in text


# Company.


def test_company() -> None:
    elsewhere = Evidence(programs=(LLDPD, MANAGER), overheard=(announced(NB), announced(NTB)))
    assert company(PORT, elsewhere) == (
        "lldpd (pid 12) announces this host in scope nearest-bridge, nearest-non-tpmr-bridge, where this agent only"
        " listens",
        "NetworkManager (pid 78) listens to LLDP here too",
    )
    assert company(EVERYWHERE, elsewhere)[0] == "lldpd (pid 12) is here too"
    networkd = Evidence(programs=(NETWORKD, LLDPD), overheard=(networkd_s(),))
    assert company(PORT, networkd) == (
        "systemd-networkd (pid 56) announces this host in scope nearest-bridge, where this agent only listens",
        "lldpd (pid 12) is here too",
    )
    assert company(PORT, Evidence()) == ()


def test_everything_at_once_is_said_once() -> None:
    found = Evidence(
        echoes=True,
        programs=(LLDPD, LLDPAD, NETWORKD, MANAGER),
        emission=Emission(NB, FILE),
        overheard=(announced(NB), announced(NTB), announced(NCB, OTHER), networkd_s()),
        same_name=frozenset({NCB}),
    )
    texts = warnings(EVERYWHERE, found)
    assert len(texts) == len(set(texts)) == 6


def test_devices_that_share_an_address() -> None:
    assert device_names([("eth0", MAC), ("bond0", MAC), ("lo", b"")]) == {MAC: "eth0 or bond0", b"": "lo"}
