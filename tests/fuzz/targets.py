"""What `make fuzz` feeds with octets, a target for each decoder and each door, and what must hold whatever comes in.

Bad input has one way out, the error that the reader's docstring names. What was read can be written again and is then
read as the same; what is shown is JSON.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.json import encode

from evbagent.capture import Capture, CaptureError, Frame
from evbagent.decode import describe_frame, documents, selection
from evbagent.exchange import decode_strictly
from evbagent.messages import MAX_REQUEST_OCTETS, BadRequest, check_id, check_request
from evbagent.neighborview import neighbor_rows
from evbagent.replay import ReplayError, read_recording
from evbagent.show_neighbors import render_neighbors
from evbagent.tlvview import describe_tlv
from evbagent.vsispec import parse_spec
from protocols.dcbx import cee, ieee
from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import DcbxSettings, Dialect, Neighbor
from protocols.ecp import draft as draft_ecp
from protocols.ecp import ratified as ratified_ecp
from protocols.errors import DecodeError
from protocols.evb import cdcp
from protocols.evb import draft as draft_evb
from protocols.evb import ratified as ratified_evb
from protocols.evb.status import Role
from protocols.frame import ETHERTYPE_LLDP, Scope, decode_frame
from protocols.lldp import dot1_codec, dot3_codec, med_codec, vendor_codec
from protocols.lldp.agent import AdminStatus
from protocols.lldp.codec import decode_lldpdu, encode_lldpdu
from protocols.port import LinkState, RelayAble
from protocols.stack import PortStack
from protocols.timers import SECOND
from protocols.tlv import walk
from protocols.vdp import draft as draft_vdp
from protocols.vdp import organizational
from protocols.vdp import ratified as ratified_vdp
from protocols.vdp.edition import Edition
from protocols.vdp.organizational import OrganizationalTlv
from tests.support.dcbx import assert_possible, willing
from tests.support.lldpdus import read_pcap
from tests.support.wire import STATION_MAC, port_settings

ROOT = Path(__file__).parents[2]
CAPTURES = ("pcaps", "pcaps/vsi", "../shared/captures", "../shared/pcaps")
ETHERNET = 14
ETHERTYPES_ECP = {0x8940: (ratified_ecp, True), 0x88B7: (draft_ecp, False), 0x8890: (draft_ecp, False)}
ORGANIZATIONAL = 127
FRAMES_AT_ONCE = 64


class Target(NamedTuple):
    """`check` raises when something does not hold; `seeds` are sound inputs to begin with."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]


# Seeds, from the captures that are there.


def frames() -> Iterator[bytes]:
    for folder in CAPTURES:
        for file in sorted((ROOT / folder).glob("*.pcap")):
            try:
                yield from (captured.data for captured in read_pcap(file))
            except (AssertionError, IndexError, ValueError):  # other kinds of files, read by other tests
                continue


def payloads(*ethertypes: int) -> Iterator[bytes]:
    for data in frames():
        if int.from_bytes(data[12:14], "big") in ethertypes:
            yield data[ETHERNET:]


def organizational_tlvs(*ouis: str) -> Iterator[bytes]:
    """Subtype and body of the TLVs with these OUIs, of all when there are none."""
    wanted = [bytes.fromhex(oui) for oui in ouis]
    for payload in payloads(ETHERTYPE_LLDP):
        for tlv in walk(payload).tlvs:
            if tlv.type == ORGANIZATIONAL and len(tlv.value) > 3 and (not wanted or tlv.value[:3] in wanted):
                yield tlv.value[3:] if wanted else tlv.value


def ulpdus(ratified: bool) -> Iterator[bytes]:
    """Of requests; the first octet says whether a station has sent it."""
    for data in frames():
        codec, is_ratified = ETHERTYPES_ECP.get(int.from_bytes(data[12:14], "big"), (None, None))
        if codec is not None and is_ratified is ratified:
            try:
                yield b"\1" + codec.decode(data[ETHERNET:]).payload
            except DecodeError:
                continue


def files(*patterns: str) -> Iterator[bytes]:
    for pattern in patterns:
        for file in sorted(ROOT.glob(pattern)):
            if file.stat().st_size < 1 << 16:
                yield file.read_bytes()


def sequences() -> Iterator[bytes]:
    """Some frames one after the other, each with its length before it."""
    some = list(frames())
    for start in range(0, len(some), FRAMES_AT_ONCE):
        yield b"".join(len(data).to_bytes(2, "big") + data for data in some[start : start + FRAMES_AT_ONCE])


# Decoders.


def by_subtype(decode: Callable[[int, bytes], Any], write: Callable[[Any], tuple[Any, ...]]) -> Callable[[bytes], None]:
    """A codec of organizational TLVs; `write` gives the body last."""

    def check(data: bytes) -> None:
        if not data:
            return
        subtype, body = data[0], data[1:]
        try:
            value = decode(subtype, body)
        except DecodeError:
            return
        if value is not None:
            again = write(value)[-1]
            assert decode(subtype, again) == value, (value, again.hex())

    return check


def by_body(decode: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> Callable[[bytes], None]:
    """A codec of one TLV."""

    def check(data: bytes) -> None:
        try:
            value = decode(data)
        except DecodeError:
            return
        again = write(value)
        assert decode(again) == value, (value, again.hex())

    return check


def vendor(data: bytes) -> None:
    if len(data) > 3:
        oui = data[:3]
        by_subtype(lambda subtype, body: vendor_codec.decode(oui, subtype, body), vendor_codec.encode)(data[3:])


def lldpdu(data: bytes) -> None:
    try:
        reading = decode_lldpdu(data)
    except DecodeError:
        return
    again = encode_lldpdu(reading.pdu)
    assert decode_lldpdu(again).pdu == reading.pdu
    if not reading.errors and reading.pdu.ttl and walk(data).end is not None:
        assert len(again) <= len(data), "more is written than was read"


def tlv(data: bytes) -> None:
    """Any TLV, as it is shown."""
    if data:
        encode(describe_tlv(data[0] & 127, data[1:512]))


def vdp(edition: Edition) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        try:
            reading = edition.decode(data[1:], data[:1] == b"\1")
        except DecodeError:
            return
        for vsi in reading.vsis:
            for one in vsi.organizational:
                encode(organizational.describe(one))
            if edition.check(vsi) is None:
                assert edition.encode_tlv(vsi)

    return check


def vdp_organizational(data: bytes) -> None:
    if len(data) < 3:
        return
    read = OrganizationalTlv(data[:3], data[3:])
    encode(organizational.describe(read))
    try:
        value = organizational.decode(read)
    except DecodeError:
        return
    if value is not None:
        assert organizational.decode(organizational.encode(value)) == value


def frame(data: bytes) -> None:
    """A frame as `decode` shows it, with any link type."""
    try:
        decode_frame(data)
    except DecodeError:
        pass
    for linktype in selection().offsets:
        document = describe_frame(Frame(1, 0, linktype, data, len(data)))
        if document is not None:
            encode(document)


def capture(data: bytes) -> None:
    try:
        for document in documents(Capture(BytesIO(data), selection())):
            encode(document)
    except CaptureError:
        pass


def recording(data: bytes) -> None:
    try:
        deque(read_recording(BytesIO(data)), maxlen=0)
    except ReplayError:
        pass


# Doors.


def stack(role: Role) -> Callable[[bytes], None]:
    """The machines of a port, with one frame after the other; what they know is shown."""

    def check(data: bytes) -> None:
        settings = port_settings(STATION_MAC, admin_status=dict.fromkeys(Scope, AdminStatus.TX_AND_RX), max_neighbors=4)
        settings = replace(settings, dcbx=willing(DcbxSettings()))
        port = PortStack(role, settings, lambda: 1)
        now = SECOND
        if role is Role.BRIDGE:
            port.request(RelayAble(True), now)
        port.request(LinkState(True), now)
        for frame in _in_sequence(data):
            now += SECOND // 20
            port.receive(frame, now)
            port.advance(now)
        due = port.next_deadline()
        assert due is None or due > now, "it is never done"
        render_neighbors(neighbor_rows([("eth0", port.agents)]), details=True, now=0.0)

    return check


def dcbx(data: bytes) -> None:
    """One LLDPDU after the other, each with its length before it; in operation is never what cannot be."""
    own = replace(willing(DcbxSettings(pfc=0b1000)), classes=3, capability=2)
    ports = [DcbxPort(replace(own, dialect=dialect), STATION_MAC) for dialect in (None, *Dialect)]
    for frame in _in_sequence(data):
        source = frame[6:12]
        key = 4, source, 3, source
        values = [tlv.value for tlv in walk(frame[ETHERNET:]).tlvs if tlv.type == ORGANIZATIONAL and len(tlv.value) > 3]
        neighbor = Neighbor(key, source, tuple((value[:3], value[3], value[4:]) for value in values))
        for port in ports:
            if values:
                port.heard(neighbor)
            else:
                port.lost(key)
            assert port.result is not None
            assert_possible(port.result, own)
            for _, _, body in port.tlvs:
                assert len(body) <= 507


def _in_sequence(data: bytes) -> Iterator[bytes]:
    offset = 0
    while offset + 2 <= len(data):
        length = int.from_bytes(data[offset : offset + 2], "big")
        offset += 2
        yield data[offset : offset + length]
        offset += length


def control(data: bytes) -> None:
    """A request at the control socket."""
    try:
        document = decode_strictly(data, MAX_REQUEST_OCTETS)
        check_id(document)
        check_request(document)
    except BadRequest:
        pass


def vsi(data: bytes) -> None:
    """What a client asks of a VSI."""
    try:
        spec = decode_strictly(data, MAX_REQUEST_OCTETS)
    except BadRequest:
        return
    if isinstance(spec, dict):
        try:
            asked = parse_spec(spec)
        except ValueError:
            return
        for edition in (ratified_vdp.RATIFIED, draft_vdp.DRAFT):
            if edition.check(asked) is None:
                edition.encode_tlv(asked)


REQUESTS = (
    b'{"op":"show","what":"neighbors","interface":"eth*"}',
    b'{"op":"wait","interface":"eth0","for":"reflective-relay"}',
    b'{"id":1,"op":"switch-deassociate","interface":"eth0","instance":"a1412857-60f7-4ce1-a95a-2164943f53a0"}',
    b'{"op":"watch"}',
)
SPECS = (
    b'{"request":"associate","instance":"a1412857-60f7-4ce1-a95a-2164943f53a0","manager":"12","type":7,'
    b'"type-version":1,"filter":["100-02:00:00:00:00:01"],"hint":"none"}',
    b'{"request":"preassociate-rr","instance":"192.0.2.1","manager":"::1","type":1,"filter":["0/3"],"vm-name":"a"}',
    b'{"request":"associate","instance":"local:01","type":1,"filter":["1--9","2/3--9"],"vm-address":"192.0.2.9"}',
)

TARGETS: Mapping[str, Target] = {
    "lldpdu": Target(lldpdu, lambda: payloads(ETHERTYPE_LLDP)),
    "tlv": Target(tlv, lambda: (b"\x7f" + value for value in organizational_tlvs())),
    "dot1": Target(by_subtype(dot1_codec.decode, dot1_codec.encode), lambda: organizational_tlvs("0080c2")),
    "dot3": Target(by_subtype(dot3_codec.decode, dot3_codec.encode), lambda: organizational_tlvs("00120f")),
    "med": Target(by_subtype(med_codec.decode, med_codec.encode), lambda: organizational_tlvs("0012bb")),
    "vendor": Target(vendor, organizational_tlvs),
    "dcbx-ieee": Target(by_subtype(ieee.decode, ieee.encode), lambda: organizational_tlvs("0080c2")),
    "dcbx-cee": Target(by_subtype(cee.decode, cee.encode), lambda: organizational_tlvs("001b21")),
    "cdcp": Target(by_body(cdcp.decode, cdcp.encode), lambda: (b"\x00\x08\x01\x00\x10\x01\x00\x20\x02",)),
    "evb-ratified": Target(
        by_body(ratified_evb.decode_fields, ratified_evb.encode_fields),
        lambda: (value[1:] for value in organizational_tlvs("0080c2") if value[0] == 13),
    ),
    "evb-draft": Target(
        by_body(draft_evb.decode_fields, draft_evb.encode_fields),
        lambda: (value[1:] for value in organizational_tlvs("001b3f")),
    ),
    "ecp-ratified": Target(by_body(ratified_ecp.decode, ratified_ecp.encode), lambda: payloads(0x8940)),
    "ecp-draft": Target(by_body(draft_ecp.decode, draft_ecp.encode), lambda: payloads(0x88B7, 0x8890)),
    "vdp-ratified": Target(vdp(ratified_vdp.RATIFIED), lambda: ulpdus(True)),
    "vdp-draft": Target(vdp(draft_vdp.DRAFT), lambda: ulpdus(False)),
    "vdp-organizational": Target(vdp_organizational, lambda: (bytes.fromhex("00000c0101"), bytes.fromhex("0003ba01"))),
    "frame": Target(frame, frames),
    "capture": Target(capture, lambda: files("pcaps/*.pcap", "../shared/pcaps/*.pcap", "../shared/pcaps/*.pcapng*")),
    "recording": Target(recording, lambda: files("tests/replay/recordings/*.jsonl")),
    "dcbx": Target(dcbx, sequences),
    "station": Target(stack(Role.STATION), sequences),
    "bridge": Target(stack(Role.BRIDGE), sequences),
    "control": Target(control, lambda: REQUESTS),
    "vsi": Target(vsi, lambda: chain(SPECS, REQUESTS)),
}
