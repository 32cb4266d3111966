"""Feeds a capture, or a recording of the agent's own, through a port's machines on the clock that it was made on.

In a recording every input is there, so the same comes of it as then. In a capture one end of the wire is played: the
frames of all others reach it, and what the end itself sent tells what it was asked for (its VSIs).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, BinaryIO

from msgspec import MsgspecError
from msgspec.json import Decoder

from evbagent.capture import Capture, Frame
from evbagent.dcbxview import agreement_document
from evbagent.decode import ETHERNET
from evbagent.events import forwarding_event, neighbor_event
from evbagent.neighborview import neighbor_document
from evbagent.recording import Advance, Asked, FirstSequence, Heard, Input, Start, read_input, read_start
from evbagent.replaydcbx import NEWCOMER, dcbx_end
from evbagent.view import (
    edge_statistics_document,
    evb_document,
    forwarding_mode,
    statistics_document,
)
from evbagent.vsiview import VsiDocuments
from protocols.dcbx.settings import DcbxSettings
from protocols.edge import ETHERTYPES_ECP, FORMS
from protocols.errors import DecodeError
from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import EvbCapability, EvbParameters, EvbSettings, Role
from protocols.frame import ETHERTYPE_LLDP, ETHERTYPES_VLAN, Scope, decode_frame, format_mac
from protocols.lldp.agent import AdminStatus
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.tlvs import ChassisId, ChassisIdSubtype, OrganizationalTlv, PortId, PortIdSubtype
from protocols.lldp.tx import TxSettings
from protocols.port import (
    Configure,
    DcbxChanged,
    Effect,
    ForwardingChanged,
    Indicate,
    LinkState,
    NeighborEvent,
    PortSettings,
    RelayAble,
    RelaySet,
    Request,
    RequestVsis,
    SendFrame,
    WarningsChanged,
    WithdrawVsis,
)
from protocols.stack import PortStack
from protocols.timers import SECOND, Instant
from protocols.vdp.policy import BridgePolicy
from protocols.vdp.status import Confirm, VsiChanged, VsiRequest

_OF_ANOTHER_ROLE: Mapping[Role, type] = {Role.STATION: WithdrawVsis, Role.BRIDGE: RequestVsis}
_TIMES = frozenset({"first-heard", "last-heard", "last-change", "last-change-time"})
MADE_UP_MAC = bytes.fromhex("020000000001")

Json = dict[str, Any]


class ReplayError(Exception):
    """What cannot be replayed, and where."""


@dataclass(slots=True)
class Player:
    """Runs a stack as the driver does. `tell` is called for each event, with its time."""

    stack: PortStack
    tell: Callable[[Instant, Json], None]
    answers_configure: bool = True
    sent: int = 0
    now: Instant = 0
    documents: VsiDocuments = field(default_factory=lambda: VsiDocuments(str))

    def receive(self, frame: bytes, now: Instant) -> None:
        self.run_to(now)
        self._run(self.stack.receive(frame, self.now))

    def request(self, request: Request, now: Instant) -> None:
        self.run_to(now)
        self._run(self.stack.request(request, self.now))

    def advance(self, now: Instant) -> None:
        """As the driver did it: a recording says when."""
        self.now = max(self.now, now)
        self._run(self.stack.advance(self.now))

    def run_to(self, now: Instant) -> None:
        """Let time pass; timers expire when they are due unless a recording says when."""
        while self.answers_configure and (due := self.stack.next_deadline()) is not None and due <= now:
            self.now = max(self.now, due)
            self._run(self.stack.advance(self.now))
        self.now = max(self.now, now)

    def _run(self, effects: list[Effect]) -> None:
        queue = deque(effects)
        while queue:
            match queue.popleft():
                case SendFrame():
                    self.sent += 1
                case Configure(setting):
                    if self.answers_configure:
                        queue.extend(self.stack.request(RelaySet(setting.on), self.now))
                case Indicate(NeighborEvent(scope, change)):
                    self.tell(self.now, neighbor_event(scope, change))
                case Indicate(ForwardingChanged(old, new)):
                    self.tell(self.now, forwarding_event(old, new))
                case Indicate(VsiChanged(vsi_id, status, was, gone)):
                    vsi = Decoder().decode(self.documents.make(status, vsi_id.text, None))
                    self.tell(self.now, {"event": "vsi", "vsi": vsi, "was": str(was), "gone": gone})
                case Indicate(WarningsChanged(warnings)):
                    self.tell(self.now, {"event": "warnings", "warnings": list(warnings)})
                case Indicate(DcbxChanged(result)):
                    self.tell(self.now, {"event": "dcbx", **agreement_document(result, self.stack.dcbx.settings)})
                case Confirm(ticket, outcome, _):
                    self.tell(self.now, {"event": "confirm", "ticket": ticket, "result": str(outcome)})

    def state(self) -> Json:
        """What the port knows in the end."""
        stack = self.stack
        forwarding = stack.forwarding
        make = self.documents.make
        return {
            "role": str(stack.role),
            "forwarding": {
                "mode": forwarding_mode(stack),
                "reflective-relay": str(forwarding.relay),
                "edition": forwarding.edition,
                "reason": forwarding.reason,
            },
            "lldp": [
                {
                    "scope": str(scope),
                    "neighbors": [_timeless(neighbor_document(remote)) for remote in agent.rx.remotes.systems()],
                    "statistics": _timeless(statistics_document(agent)),
                }
                for scope, agent in stack.agents.items()
            ],
            "evb": evb_document(stack),
            "vsis": [
                Decoder().decode(make(vsi.status(), vsi_id.text, None)) for vsi_id, vsi in stack.edge.vdp.vsis.items()
            ],
            "dcbx": None if stack.dcbx.settings is None else agreement_document(stack.dcbx.result, stack.dcbx.settings),
            "statistics": edge_statistics_document(stack.edge),
            "warnings": list(stack.warnings),
        }


@dataclass(slots=True)
class Replayed:
    """What came of it. Times of the timeline are seconds since the beginning."""

    role: str
    mac_address: str
    frames: int
    sent: int
    timeline: list[Json]
    state: Json


def replay_recording(file: BinaryIO) -> Replayed:
    """Raises ReplayError that names the line. What the machines then make of it is theirs."""
    timeline: list[Json] = []
    player: Player | None = None
    frames = 0
    inputs = list(read_recording(file))
    sequences = deque(one.value for one in inputs if isinstance(one, FirstSequence))
    for one in inputs:
        match one:
            case Start(_, role, settings, rules, begun):
                stack = PortStack(role, settings, lambda: sequences.popleft() if sequences else 1, BridgePolicy(rules))
                player = Player(stack, _teller(timeline, begun), answers_configure=False, now=begun)
            case Heard(data, now) if player:
                frames += 1
                player.receive(data, now)
            case Advance(now) if player:
                player.advance(now)
            case Asked(request, now) if player:
                player.request(request, now)
    if player is None:
        raise ReplayError("line 1: nothing is there")
    settings = player.stack.settings
    return _replayed(player, format_mac(settings.mac_address), frames, timeline)


def read_recording(file: BinaryIO) -> Iterator[Input]:
    """What went into a port, a Start first. Raises ReplayError that names the line."""
    role: Role | None = None
    for number, line in _lines(file):
        try:
            one: Input = read_start(line) if role is None else read_input(line)
            if isinstance(one, Start):
                role = one.role
            elif role is not None and isinstance(one, Asked) and isinstance(one.request, _OF_ANOTHER_ROLE[role]):
                raise ValueError(f"{line['input']} is nothing for a {role}")
        except (ArithmeticError, AttributeError, LookupError, MsgspecError, TypeError, ValueError) as error:
            what = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise ReplayError(f"line {number}: {what}") from error
        yield one


def replay_capture(capture: Capture, role: Role) -> Replayed:
    """Plays the end of this role: the one whose EVB or DCBX TLVs say so, or a newcomer. Raises CaptureError."""
    ethernet = (frame for frame in capture if frame.linktype == ETHERNET and len(frame.data) >= 14)
    frames = [(_micro(frame), _received(frame.data)) for frame in ethernet]
    wanted = [(time, data) for time, data in frames if _is_ours(data)]
    mac = _end_of(role, (data for _, data in wanted))
    found = None if mac else dcbx_end(role, (data for _, data in wanted))
    own, dcbx = found or (mac or _of_nobody({data[6:12] for _, data in wanted}), NEWCOMER)
    timeline: list[Json] = []
    begun = wanted[0][0] if wanted else 0
    stack = PortStack(role, _settings(own, dcbx), lambda: 1, BridgePolicy())
    player = Player(stack, _teller(timeline, begun), now=begun)
    if role is Role.BRIDGE:
        player.request(RelayAble(True), begun)
    player.request(LinkState(True), begun)
    ticket = 0
    for time, data in wanted:
        if data[6:12] != own:
            player.receive(data, time)
            continue
        for request in _asked(data) if role is Role.STATION else ():
            known = stack.edge.vdp.vsis.get(request.vsi_id)
            if known is None or known.request != request:  # else a keep-alive, or a frame that was sent again
                ticket += 1
                player.request(RequestVsis((VsiRequest(request, ticket),)), time)
    return _replayed(player, format_mac(own), len(wanted), timeline)


def is_recording(first: bytes) -> bool:
    """Whether a file that begins so is a recording."""
    return first.lstrip().startswith(b"{")


def _replayed(player: Player, mac: str, frames: int, timeline: list[Json]) -> Replayed:
    return Replayed(str(player.stack.role), mac, frames, player.sent, timeline, player.state())


def _teller(timeline: list[Json], begun: Instant) -> Callable[[Instant, Json], None]:
    def tell(now: Instant, event: Json) -> None:
        neighbor = event.get("neighbor")
        if neighbor:
            event = {**event, "neighbor": _timeless(neighbor)}
        timeline.append({"time": round((now - begun) / SECOND, 6), **event})

    return tell


def _timeless(document: Json) -> Json:
    """Without what depends on the clock of the machine that replays."""
    return {key: value for key, value in document.items() if key not in _TIMES}


def _lines(file: BinaryIO) -> Iterator[tuple[int, Json]]:
    decoder = Decoder(dict[str, Any])
    for number, text in enumerate(file, 1):
        if not text.endswith(b"\n"):
            return  # the end of a recording that was cut off
        try:
            yield number, decoder.decode(text)
        except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ReplayError(f"line {number}: {error}") from error


def _micro(frame: Frame) -> Instant:
    return 0 if frame.time is None else frame.time // 1000


def _received(data: bytes) -> bytes:
    """As the kernel hands a frame over: a tag with VID 0 only carries a priority and is taken off."""
    while int.from_bytes(data[12:14], "big") in ETHERTYPES_VLAN and len(data) >= 18 and not _vid(data):
        data = data[:12] + data[16:]
    return data


def _vid(data: bytes) -> int:
    return int.from_bytes(data[14:16], "big") & 0xFFF


def _of_nobody(sources: set[bytes]) -> bytes:
    """An address for an end that nothing is known of: what has it already would be taken for the end's own frames."""
    first = int.from_bytes(MADE_UP_MAC, "big")
    return next(mac for number in count(first) if (mac := number.to_bytes(6, "big")) not in sources)


def _is_ours(data: bytes) -> bool:
    ethertype = int.from_bytes(data[12:14], "big")
    return ethertype == ETHERTYPE_LLDP or ethertype in ETHERTYPES_ECP


def _end_of(role: Role, frames: Iterable[bytes]) -> bytes | None:
    """The address of the system that plays this role, by its EVB TLV, or by ECPDUs that only it would send."""
    for data in frames:
        ethertype = int.from_bytes(data[12:14], "big")
        if ethertype == ETHERTYPE_LLDP:
            try:
                tlvs = decode_lldpdu(decode_frame(data).payload).pdu.optional
            except DecodeError:
                continue
            for tlv in tlvs:
                if isinstance(tlv, OrganizationalTlv) and (tlv.oui, tlv.subtype) == (RATIFIED.oui, RATIFIED.subtype):
                    try:
                        if RATIFIED.decode(tlv.value).role is role:
                            return data[6:12]
                    except DecodeError:
                        continue
        elif role is Role.STATION and any(_asked(data)):
            return data[6:12]
    return None


def _asked(data: bytes) -> list[Any]:
    """The VSIs that a station asks for in this frame."""
    for form in FORMS.values():
        if int.from_bytes(data[12:14], "big") not in form.ecp.ethertypes:
            continue
        try:
            ecpdu = form.ecp.decode(data[14:])
            if ecpdu.operation:
                return []
            return list(form.vdp.decode(ecpdu.payload, True).vsis)
        except DecodeError:
            return []
    return []


def _settings(mac: bytes, dcbx: DcbxSettings) -> PortSettings:
    """A port that speaks both editions and listens everywhere."""
    every = EvbCapability.RTE | EvbCapability.ECP | EvbCapability.VDP
    admin_status = dict.fromkeys(Scope, AdminStatus.RX_ONLY)
    admin_status[Scope.NEAREST_CUSTOMER_BRIDGE] = AdminStatus.TX_AND_RX
    return PortSettings(
        mac_address=mac,
        chassis_id=ChassisId(ChassisIdSubtype.MAC_ADDRESS, mac),
        port_id=PortId(PortIdSubtype.MAC_ADDRESS, mac),
        optional={},
        admin_status=admin_status,
        tx=TxSettings(),
        max_neighbors=1024,
        evb=EvbSettings((RATIFIED, DRAFT), True, EvbParameters(capabilities=every, group_ids=True)),
        dcbx=dcbx,
    )
