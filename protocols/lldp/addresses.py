"""Network addresses of every IANA family, and object identifiers, as text (sheet `lldp.md` 1.2)."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from ipaddress import ip_address

OID_TAG = 6  # BER: OBJECT IDENTIFIER


class AddressFamily(IntEnum):
    """IANA address family numbers that fit the one octet of LLDP."""

    IPV4 = 1
    IPV6 = 2
    NSAP = 3
    HDLC = 4
    BBN_1822 = 5
    ALL_802 = 6
    E163 = 7
    E164 = 8
    F69 = 9
    X121 = 10
    IPX = 11
    APPLETALK = 12
    DECNET_IV = 13
    BANYAN_VINES = 14
    E164_WITH_NSAP = 15
    DNS = 16
    DISTINGUISHED_NAME = 17
    AS_NUMBER = 18
    XTP_OVER_IPV4 = 19
    XTP_OVER_IPV6 = 20
    XTP = 21
    FIBRE_CHANNEL_WWPN = 22
    FIBRE_CHANNEL_WWNN = 23
    GWID = 24
    L2VPN = 25


def network_address(family: int, address: bytes) -> str:
    """An address in the notation of its family; `FAMILY:HEX` where it has none, or the octets do not fit it."""
    known = _NOTATIONS.get(family)
    written = known(address) if known else None
    return f"{family}:{address.hex()}" if written is None else written


def object_identifier(octets: bytes) -> str | None:
    """Dotted decimal of BER content octets; None when they are not an object identifier.

    Tag and length, which 802.1AB 8.5.9.8 leaves out, are sent by some (Huawei VRP): no identifier begins like them.
    """
    if len(octets) > 2 and octets[0] == OID_TAG and octets[1] == len(octets) - 2:
        octets = octets[2:]
    if not octets or octets[-1] & 0x80:
        return None
    arcs: list[int] = []
    arc = 0
    for octet in octets:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def text(octets: bytes) -> str:
    """UTF-8 as it should be; what is not is spelled out."""
    return octets.decode("utf-8", "backslashreplace")


def _ip(version: int) -> Callable[[bytes], str | None]:
    size = 4 if version == 4 else 16
    return lambda address: str(ip_address(address)) if len(address) == size else None


def _nsap(address: bytes) -> str | None:
    """Authority and format, then groups of two octets, as routers print it."""
    if len(address) < 2:
        return None
    return ".".join([address[:1].hex(), *(address[start : start + 2].hex() for start in range(1, len(address), 2))])


def _digits(address: bytes) -> str | None:
    return address.decode() if address.isdigit() else None


def _ipx(address: bytes) -> str | None:
    return f"{address[:4].hex()}.{address[4:].hex()}" if len(address) == 10 else None


def _appletalk(address: bytes) -> str | None:
    return f"{int.from_bytes(address[:2], 'big')}.{address[2]}" if len(address) == 3 else None


def _decnet(address: bytes) -> str | None:
    """Area and node, in the one protocol here that has the low octet first."""
    number = int.from_bytes(address, "little")
    return f"{number >> 10}.{number & 0x3FF}" if len(address) == 2 else None


def _vines(address: bytes) -> str | None:
    return f"{address[:4].hex()}:{address[4:].hex()}" if len(address) == 6 else None


def _as_number(address: bytes) -> str | None:
    return str(int.from_bytes(address, "big")) if len(address) in (2, 4) else None


def _wwn(address: bytes) -> str | None:
    return address.hex(":") if len(address) == 8 else None


def _mac(address: bytes) -> str:
    return address.hex(":")


_NOTATIONS: Mapping[int, Callable[[bytes], str | None]] = {
    AddressFamily.IPV4: _ip(4),
    AddressFamily.IPV6: _ip(6),
    AddressFamily.NSAP: _nsap,
    AddressFamily.ALL_802: _mac,
    AddressFamily.E163: _digits,
    AddressFamily.E164: _digits,
    AddressFamily.F69: _digits,
    AddressFamily.X121: _digits,
    AddressFamily.IPX: _ipx,
    AddressFamily.APPLETALK: _appletalk,
    AddressFamily.DECNET_IV: _decnet,
    AddressFamily.BANYAN_VINES: _vines,
    AddressFamily.DNS: text,
    AddressFamily.AS_NUMBER: _as_number,
    AddressFamily.XTP_OVER_IPV4: _ip(4),
    AddressFamily.XTP_OVER_IPV6: _ip(6),
    AddressFamily.FIBRE_CHANNEL_WWPN: _wwn,
    AddressFamily.FIBRE_CHANNEL_WWNN: _wwn,
}
