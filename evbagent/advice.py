"""What is said about those who share an interface with the agent, and what to do: pure, from facts to sentences.

The sentences are stable while the facts are, so that each is logged once. Text of other systems in them is printable.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from re import fullmatch

from evbagent.firmware import LLD_MANAGED, Firmware
from evbagent.networkd import Emission
from evbagent.overheard import Announcement
from evbagent.procfs import Program
from protocols.frame import Scope, format_mac
from protocols.lldp.tlvs import ChassisIdSubtype, Msap

NETWORKD = "systemd-networkd"
NEVER_SEND = frozenset({"NetworkManager"})
LLDPTOOL_SCOPES: Mapping[Scope, str] = {
    Scope.NEAREST_BRIDGE: "nb",
    Scope.NEAREST_NON_TPMR_BRIDGE: "nntpmrb",
    Scope.NEAREST_CUSTOMER_BRIDGE: "ncb",
}


@dataclass(frozen=True, slots=True)
class PortFacts:
    """A served interface. `sends`: the scopes in which this agent announces, and how many LLDPDUs it has sent there.

    `heard` counts the LLDPDUs of all scopes that came in, `own` those of ours that came back. `bridge`: the role.
    """

    name: str
    mac_address: bytes
    enabled: bool
    bridge: bool
    relay_active: bool
    msap: Msap
    sends: Mapping[Scope, int]
    heard: int = 0
    own: int = 0
    interval_us: int = 30_000_000
    neighbors: frozenset[Msap] = frozenset()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found beside a port.

    `echoes`: our own frames keep coming back. `silent`: no LLDP came in for long, though other frames did.
    `unnamed`: how many more were overheard. `same_name`: scopes in which somebody else announces under our identity.
    `owners`: names of devices by MAC address. `ourselves`: served interfaces by what they announce. `bridge`: the Linux
    bridge that the interface is a port of.
    """

    echoes: bool = False
    silent: bool = False
    firmware: Firmware | None = None
    programs: tuple[Program, ...] = ()
    emission: Emission | None = None
    overheard: tuple[Announcement, ...] = ()
    unnamed: int = 0
    same_name: frozenset[Scope] = frozenset()
    owners: Mapping[bytes, str] | None = None
    ourselves: Mapping[Msap, str] | None = None
    bridge: str = ""


def warnings(port: PortFacts, found: Evidence) -> tuple[str, ...]:
    """What somebody should do something about, each once."""
    said = [*_rivals(port, found), *_own_frames(port, found), *_firmware(port, found)]
    return tuple(dict.fromkeys(said))


def company(port: PortFacts, found: Evidence) -> tuple[str, ...]:
    """Who else is there and does no harm."""
    elsewhere = {text.scope: text for text in found.overheard if text.source == port.mac_address}
    said = []
    for program in found.programs:
        scopes = [str(scope) for scope, text in elsewhere.items() if program in _suspects(found, text)]
        if program.name in NEVER_SEND:
            said.append(f"{program} listens to LLDP here too")
        elif scopes and not any(scope in port.sends for scope in elsewhere):
            said.append(f"{program} announces this host in scope {', '.join(scopes)}, where this agent only listens")
        else:
            said.append(f"{program} is here too")
    return tuple(dict.fromkeys(said))


def _rivals(port: PortFacts, found: Evidence) -> Iterator[str]:
    """Others who announce where this agent does: the switch has to take them for neighbors of their own."""
    twins = [program for program in found.programs if program.name == "evbagent"]
    for twin in twins:
        yield (
            f"another {twin} serves {port.name} too: end one of the two, or give each interfaces of its own"
            " (`interfaces` in its configuration, `--interface`)"
        )
    for scope in sorted(found.same_name) if not twins else ():
        suspects = _suspects(found)
        yield (
            f"{_who(suspects)} sends LLDPDUs in scope {scope} under this agent's own chassis and port ID: the switch"
            f" takes both for one system whose word keeps changing: {_remedy(port, scope, suspects, found)}"
        )
    if found.emission and found.emission.scope in port.sends:
        yield _announced_twice(port, found.emission.scope, (_networkd(found),), "", found)
    for text in found.overheard:
        if text.scope not in port.sends or text.msap == port.msap:
            continue
        suspects = _suspects(found, text)
        if text.source != port.mac_address:
            evb = ", with an EVB TLV" if text.evb else ""
            yield (
                f"LLDPDUs of {_guest(text, found)} leave here in scope {text.scope}{evb}: whoever is at the other end"
                f" takes it for a neighbor of its own: {_silencing(text.scope, found)}"
            )
        elif not twins and not (found.emission and suspects == (_networkd(found),)):
            as_whom = f", as {text.chassis} port {text.port}" + (", and negotiates EVB" if text.evb else "")
            yield _announced_twice(port, text.scope, suspects, as_whom, found)
    if found.unnamed:
        yield f"LLDPDUs of {found.unnamed} more senders leave here, or of one that makes up names"


def _announced_twice(port: PortFacts, scope: Scope, suspects: Sequence[Program], as_whom: str, found: Evidence) -> str:
    return (
        f"{_who(suspects)} announces this host in scope {scope} too{as_whom}: the switch sees two neighbors on this"
        f" port: {_remedy(port, scope, suspects, found)}"
    )


def _remedy(port: PortFacts, scope: Scope, suspects: Sequence[Program], found: Evidence) -> str:
    """How to leave the scope to one of them. EVB lives in one of the scopes: there it has to be this agent."""
    ways = []
    for name in dict.fromkeys(program.name for program in suspects):
        match name:
            case "lldpd":
                ways.append(f"`lldpcli configure ports {port.name} lldp status rx-only`")
            case "lldpad":
                ways.append(f"`lldptool -L -i {port.name} -g {LLDPTOOL_SCOPES[scope]} adminStatus=rx`")
            case "systemd-networkd":
                ways.append(f"EmitLLDP=no in {found.emission.file if found.emission else 'its .network file'}")
    if scope is not Scope.NEAREST_CUSTOMER_BRIDGE:
        ways.append(f'{scope} = "rx-only" in [lldp.admin-status] of this agent')
    return ", or ".join(ways or ["let only one of them send"])


def _silencing(scope: Scope, found: Evidence) -> str:
    """A Linux bridge forwards one of the scopes unless it runs STP."""
    if found.bridge and scope is Scope.NEAREST_CUSTOMER_BRIDGE:
        return f"`ip link set {found.bridge} type bridge stp_state 1` keeps the bridge from forwarding them"
    return "turn LLDP off in it, or drop its frames of EtherType 0x88cc before they leave"


def _who(suspects: Sequence[Program]) -> str:
    return " or ".join(map(str, suspects)) or "another program"


def _suspects(found: Evidence, text: Announcement | None = None) -> tuple[Program, ...]:
    """Of the programs that are here, those that may have sent this."""
    if text is not None and _is_networkd(text):
        return (_networkd(found),)
    return tuple(program for program in found.programs if program.name not in (*NEVER_SEND, NETWORKD))


def _networkd(found: Evidence) -> Program:
    return next((program for program in found.programs if program.name == NETWORKD), Program(NETWORKD))


def _is_networkd(text: Announcement) -> bool:
    """It calls the chassis by a hash of the machine ID."""
    kind, chassis, _, _ = text.msap
    return kind == ChassisIdSubtype.LOCAL and fullmatch(b"[0-9a-f]{32}", chassis) is not None


def _guest(text: Announcement, found: Evidence) -> str:
    device = (found.owners or {}).get(text.source)
    name = f" ({text.system})" if text.system else ""
    return f"{device}{name}" if device else f"{format_mac(text.source)}{name}, which is not this interface,"


def _own_frames(port: PortFacts, found: Evidence) -> Iterator[str]:
    if found.echoes and port.bridge:
        yield (
            "this agent's own LLDPDUs keep coming back: a loop behind this port; they are ignored, but all that is sent"
            " here may come back alike: find the loop"
        )
    elif found.echoes and port.relay_active:
        yield (
            "this agent's own LLDPDUs keep coming back: the switch reflects even what no bridge may forward, as a Linux"
            " bridge without STP does; they are ignored: `ip link set BRIDGE type bridge stp_state 1` there ends it"
        )
    elif found.echoes:
        yield (
            "this agent's own LLDPDUs keep coming back, though reflective relay is not agreed on: a loop, or a switch"
            " port in hairpin mode; they are ignored, but all that is sent here may come back alike: find the loop, or"
            " turn hairpin mode off at the switch"
        )
    ourselves = found.ourselves or {}
    for msap in sorted(port.neighbors & ourselves.keys()):
        if ourselves[msap] != port.name:
            yield (
                f"the neighbor is this agent itself, on {ourselves[msap]}: the two interfaces are joined by a cable or"
                " by something that forwards LLDP: a loop, unless that is meant"
            )


def _firmware(port: PortFacts, found: Evidence) -> Iterator[str]:
    """Only where nothing is heard: a firmware agent that lets LLDP pass is nobody's concern."""
    if port.heard or port.own:
        return
    firmware = found.firmware or Firmware()
    speaking = [flag for flag in firmware.flags if flag.firmware_speaks]
    for flag in speaking:
        now, then = ("on", "off") if flag.on else ("off", "on")
        yield (
            "the NIC's firmware has an LLDP agent of its own, which takes the frames"
            f" (private flag {flag.name} is {now}):"
            f" `ethtool --set-priv-flags {port.name} {flag.name} {then}` turns it off, and may reset the link"
        )
    if not speaking and firmware.dcbx & LLD_MANAGED:
        yield (
            "the NIC's firmware or driver runs DCBX, and with it an LLDP agent of its own, which may take the frames:"
            f" turn it off with the vendor's tool (`ethtool -i {port.name}` names the driver)"
        )
    elif not speaking and found.silent:
        yield (
            "hint: no LLDP has been heard here though other frames come in: if it is turned on at the switch's port,"
            " something takes it on the way: a firmware agent of the NIC"
            f" (`ethtool --show-priv-flags {port.name}`, the vendor's tool), or a device in between"
        )


def device_names(addresses: Iterable[tuple[str, bytes]]) -> Mapping[bytes, str]:
    """Devices by MAC address, those that share one together."""
    names: dict[bytes, list[str]] = {}
    for name, address in addresses:
        names.setdefault(address, []).append(name)
    return {address: " or ".join(shared) for address, shared in names.items()}
