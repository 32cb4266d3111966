"""Which of the host's addresses are announced for its management: by patterns, or as lldpd chooses them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address

from evbagent.addresses import HostAddress
from evbagent.lldpconfig import NOT
from protocols.lldp.addresses import AddressFamily
from protocols.lldp.tlvs import InterfaceNumbering, ManagementAddress


def names_addresses(patterns: Sequence[str]) -> bool:
    """Whether they say what is meant, rather than only what is not."""
    return any(not pattern.startswith(NOT) for pattern in patterns)


def management_addresses(
    patterns: Sequence[str], addresses: Sequence[HostAddress], names: Mapping[int, str]
) -> Iterator[ManagementAddress]:
    """In the order of the patterns: an address whether the host has it or not, then what others match.

    Without such patterns the first address of each version of IP. Link-local ones only where there are no others.
    `names`: of the interfaces that the addresses are on, by index.
    """
    meant = [pattern for pattern in patterns if not pattern.startswith(NOT)]
    denied = [pattern.removeprefix(NOT) for pattern in patterns if pattern.startswith(NOT)]
    allowed = (address for address in addresses if not _matches(address, names, denied)) if denied else addresses
    if not meant:
        yield from map(_tlv, first_addresses(allowed))
        return
    allowed = list(allowed)
    found: dict[tuple[AddressFamily, bytes], ManagementAddress] = {}
    for pattern in meant:
        for address in _exactly(pattern, addresses) or _by_reach([a for a in allowed if _matches(a, names, [pattern])]):
            found.setdefault((address.family, address.octets), _tlv(address))
    yield from found.values()


def first_addresses(addresses: Iterable[HostAddress]) -> list[HostAddress]:
    """One of each version, the older first."""
    far: dict[AddressFamily, HostAddress] = {}
    near: dict[AddressFamily, HostAddress] = {}
    for address in addresses:
        if address.family in far:
            continue
        (near if address.is_link_local else far).setdefault(address.family, address)
        if len(far) == len(_VERSIONS):
            break
    firsts = near | far
    return [firsts[family] for family in _VERSIONS if family in firsts]


def _by_reach(addresses: Sequence[HostAddress]) -> list[HostAddress]:
    """Link-local ones only of a version that has no others here."""
    far = {address.family for address in addresses if not address.is_link_local}
    return [address for address in addresses if not (address.is_link_local and address.family in far)]


def _exactly(pattern: str, addresses: Sequence[HostAddress]) -> list[HostAddress]:
    """The address that the pattern is, of interface 0 if the host does not have it; nothing if it is none."""
    try:
        meant = ip_address(pattern)
    except ValueError:
        return []
    family = AddressFamily.IPV4 if meant.version == 4 else AddressFamily.IPV6
    known = (address for address in addresses if (address.family, address.octets) == (family, meant.packed))
    return [next(known, HostAddress(0, family, meant.packed))]


def _matches(address: HostAddress, names: Mapping[int, str], patterns: Sequence[str]) -> bool:
    name, text = names.get(address.index, ""), address.text
    return any(fnmatchcase(text, pattern) or fnmatchcase(name, pattern) for pattern in patterns)


def _tlv(address: HostAddress) -> ManagementAddress:
    numbering = InterfaceNumbering.IF_INDEX if address.index else InterfaceNumbering.UNKNOWN
    return ManagementAddress(address.family, address.octets, numbering, address.index)


_VERSIONS = (AddressFamily.IPV4, AddressFamily.IPV6)
