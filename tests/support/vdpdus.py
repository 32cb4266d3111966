"""ECPDUs and VDP TLVs as octets, written and read without the project's own codecs (sheets: ecp.md, vdp.md)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from tests.support.lldpdus import NEAREST_BRIDGE, NEAREST_CUSTOMER_BRIDGE, tlv, walk

ETHERTYPE = bytes.fromhex("8940")
ETHERTYPE_OF_THE_MANUAL = bytes.fromhex("8890")
DRAFT_ETHERTYPE = bytes.fromhex("88b7")
DRAFT_OUI = bytes.fromhex("001b3f")

PREASSOCIATE, PREASSOCIATE_RR, ASSOCIATE, DEASSOCIATE = 1, 2, 3, 4  # the ratified TLV types; the draft counts from 0
KINDS = range(1, 5)
RESPONSE, KEEP, HARD = 0x40, 0x20, 0x10  # in the ratified status octet of an answer
SUSPEND, MIGRATE = 0x20, 0x10  # the same bits in a request
UUID_FORMAT = 5
VID, MAC_VID, GROUP_VID, GROUP_MAC_VID = 1, 2, 3, 4
ENTRY_SIZES = {VID: 2, MAC_VID: 8, GROUP_VID: 6, GROUP_MAC_VID: 12}
BLABLA = b"blabla".ljust(16, b"\0")  # the VSI manager that the captures of lldpad know
END = bytes(2)


@dataclass(frozen=True, slots=True)
class VsiOctets:
    """One association TLV with the VSI manager it belongs to, field by field.

    `status` is the ratified status octet or, in the draft, the response. `entries` has one octet string for each filter
    entry, `organizational` the organizational TLVs that follow it, each from its OUI on.
    """

    kind: int
    vsi_id: bytes
    entries: tuple[bytes, ...]
    status: int = 0
    manager: bytes = BLABLA
    type_id: int = 0x123456
    version: int = 7
    id_format: int = UUID_FORMAT
    filter_format: int = MAC_VID
    organizational: tuple[bytes, ...] = ()

    @property
    def is_response(self) -> bool:
        """Of the ratified edition; in the draft only the direction tells."""
        return bool(self.status & RESPONSE)

    @property
    def code(self) -> int:
        return self.status & 0x0F

    @property
    def uuid(self) -> str:
        return str(UUID(bytes=self.vsi_id))

    @property
    def vids(self) -> tuple[int, ...]:
        return tuple(int.from_bytes(entry[-2:], "big") & 0xFFF for entry in self.entries)

    def with_vids(self, *vids: int) -> "VsiOctets":
        """The same with other VIDs (and PS/PCP, in their upper bits)."""
        entries = zip(self.entries, vids, strict=True)
        return replace(self, entries=tuple(entry[:-2] + vid.to_bytes(2, "big") for entry, vid in entries))

    def ratified(self) -> bytes:
        body = bytes([self.status]) + self.type_id.to_bytes(3, "big") + bytes([self.version, self.id_format])
        body += self.vsi_id + bytes([self.filter_format]) + self._filters()
        return tlv(self.kind, body) + b"".join(tlv(127, value) for value in self.organizational)

    def draft(self) -> bytes:
        body = DRAFT_OUI + bytes([2, self.kind - 1, self.status, self.manager[0]]) + self.type_id.to_bytes(3, "big")
        return tlv(127, body + bytes([self.version]) + self.vsi_id + bytes([self.filter_format]) + self._filters())

    def _filters(self) -> bytes:
        return len(self.entries).to_bytes(2, "big") + b"".join(self.entries)


def mac_vid(mac: bytes, vid: int) -> bytes:
    """A filter entry of format MAC_VID; `vid` has PS and PCP in its upper bits."""
    return mac + vid.to_bytes(2, "big")


def numbered(number: int, kind: int = ASSOCIATE, vid: int = 100, **fields: object) -> VsiOctets:
    """A VSI of its own for each number below 2^24, with a MAC address of its own."""
    vsi_id = UUID(f"a1412857-60f7-4ce1-e95a-216494{number:06x}").bytes
    entry = mac_vid(bytes.fromhex(f"525400{number:06x}"), vid)
    return replace(VsiOctets(kind, vsi_id, (entry,)), **fields)  # type: ignore[arg-type]


def ratified_ulpdu(vsis: Sequence[VsiOctets], *, end: bool = True) -> bytes:
    """The manager of the first VSI, which should be that of all, the VSIs, and the End TLV unless told otherwise."""
    return tlv(5, vsis[0].manager) + b"".join(vsi.ratified() for vsi in vsis) + (END if end else b"")


def draft_ulpdu(vsis: Iterable[VsiOctets]) -> bytes:
    return b"".join(vsi.draft() for vsi in vsis) + END


@dataclass(frozen=True, slots=True)
class EcpOctets:
    """One ECPDU. `payload` is what follows its header, padding included."""

    acknowledgment: bool
    sequence: int
    payload: bytes = b""
    draft: bool = False
    subtype: int = 1  # VDP; the draft's is 0 and not kept here

    @property
    def vsis(self) -> list[VsiOctets]:
        """The association TLVs, whatever stands among them."""
        return _draft_vsis(self.payload) if self.draft else _ratified_vsis(self.payload)

    @property
    def ends(self) -> bool:
        """Whether an End TLV follows the last TLV."""
        used = sum(2 + len(value) for _, value in walk(self.payload))
        return self.payload[used : used + 2] == END

    def frame(self, source: bytes, destination: bytes | None = None, ethertype: bytes | None = None) -> bytes:
        """As a frame, without padding."""
        sequence = self.sequence.to_bytes(2, "big")
        if self.draft:
            header = DRAFT_OUI + bytes([0, 0, 0, int(self.acknowledgment)]) + sequence
        else:
            header = (0x1000 | int(self.acknowledgment) << 10 | self.subtype).to_bytes(2, "big") + sequence
        group, kind = (NEAREST_BRIDGE, DRAFT_ETHERTYPE) if self.draft else (NEAREST_CUSTOMER_BRIDGE, ETHERTYPE)
        return (destination or group) + source + (ethertype or kind) + header + self.payload

    def acknowledged(self) -> "EcpOctets":
        """The acknowledgment of this request; that of the draft is as long as the request."""
        return replace(self, acknowledgment=True, payload=bytes(len(self.payload)) if self.draft else b"")


def ecp_octets(frame: bytes) -> EcpOctets | None:
    """The ECPDU in a frame: version 1 under either EtherType of the ratified edition, or the draft's; else None."""
    ethertype, payload = frame[12:14], frame[14:]
    if ethertype in (ETHERTYPE, ETHERTYPE_OF_THE_MANUAL) and len(payload) >= 4 and payload[0] >> 4 == 1:
        word = int.from_bytes(payload[:2], "big")
        return EcpOctets(bool(word >> 10 & 3), int.from_bytes(payload[2:4], "big"), payload[4:], subtype=word & 0x3FF)
    if ethertype == DRAFT_ETHERTYPE and len(payload) >= 9 and payload[:6] == DRAFT_OUI + bytes(3):
        return EcpOctets(bool(payload[6]), int.from_bytes(payload[7:9], "big"), payload[9:], draft=True)
    return None


def _ratified_vsis(payload: bytes) -> list[VsiOctets]:
    found: list[VsiOctets] = []
    manager = bytes(16)
    for kind, value in walk(payload):
        if kind == 5:
            manager = value
        elif kind in KINDS and len(value) >= 25:
            vsi = VsiOctets(
                kind,
                value[6:22],
                _entries(value[22], value[25:]),
                status=value[0],
                manager=manager,
                type_id=int.from_bytes(value[1:4], "big"),
                version=value[4],
                id_format=value[5],
                filter_format=value[22],
            )
            assert len(vsi.entries) == int.from_bytes(value[23:25], "big"), f"entries of {value.hex()}"
            found.append(vsi)
        elif kind == 127 and found:
            found[-1] = replace(found[-1], organizational=(*found[-1].organizational, value))
    return found


def _draft_vsis(payload: bytes) -> list[VsiOctets]:
    return [
        VsiOctets(
            value[4] + 1,
            value[11:27],
            _entries(value[27], value[30:]),
            status=value[5],
            manager=value[6:7].ljust(16, b"\0"),
            type_id=int.from_bytes(value[7:10], "big"),
            version=value[10],
            filter_format=value[27],
        )
        for kind, value in walk(payload)
        if kind == 127 and value[:4] == DRAFT_OUI + b"\2" and len(value) >= 30
    ]


def _entries(filter_format: int, octets: bytes) -> tuple[bytes, ...]:
    size = ENTRY_SIZES.get(filter_format, len(octets) or 1)
    return tuple(octets[start : start + size] for start in range(0, len(octets), size))
