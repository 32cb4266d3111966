"""TLVs of a neighbor for people, in the titles and words of `lldpcli show neighbors details`.

What lldpcli does not read is printed with the names of our own documents. Nothing is escaped here. Light: nothing but
the standard library.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evbagent.show_words import (
    ALTITUDES,
    CIVIC_TYPES,
    DEVICE_CLASSES,
    GEOIDS,
    INVENTORY,
    LOCATIONS,
    MED_CAPABILITIES,
    MED_POWER_SOURCES,
    POWER_SOURCES,
    POWER_TYPE_3_4,
    POWER_WORDS,
    POWERS,
    PRIORITIES,
)

Row = Mapping[str, Any]

DOT1, DOT3, MED = "0080c2", "00120f", "0012bb"
ORGANIZATIONAL = 127
ORGANIZATIONAL_HEADER = 4  # octets of OUI and subtype
LAST_BASIC = MANAGEMENT_ADDRESS = 8
FIRST_INVENTORY, LAST_INVENTORY = 5, 11
BEYOND = ("reserved-bits", "trailing-octets")
MILLIWATTS = 100  # a power's unit on the wire


class Line(NamedTuple):
    level: int
    title: str
    text: str = ""


def management_addresses(tlvs: Sequence[Row]) -> list[Row]:
    return [tlv["value"] for tlv in tlvs if tlv.get("type") == MANAGEMENT_ADDRESS and "error" not in tlv]


def port_lines(tlvs: Sequence[Row]) -> Iterator[Line]:
    """IEEE 802.3."""
    for value in _values(tlvs, DOT3, 4):
        yield Line(2, "MFS", said(value["max-frame-size"]))
    for value in _values(tlvs, DOT3, 3):
        capable, active = yes(value["aggregation-capability"]), yes(value["aggregation-status"])
        if value["aggregation-port-id"]:
            yield Line(2, "Port is aggregated. PortAggregID", said(value["aggregation-port-id"]))
        yield Line(2, "Aggregation", f"supported: {capable}, enabled: {active}")
    for value in _values(tlvs, DOT3, 1):
        yield from _mac_phy_lines(value)
    for value in _values(tlvs, DOT3, 2):
        yield from _power_lines(value)


def vlan_and_med_lines(tlvs: Sequence[Row]) -> Iterator[Line]:
    """IEEE 802.1's VLANs, and ANSI/TIA-1057."""
    pvids = [value["port-vlan-id"] for value in _values(tlvs, DOT1, 1)]
    named = [(value["vlan-id"], value["port-vlan-name"]) for value in _values(tlvs, DOT1, 3)]
    for vid, name in named:
        yield Line(1, "VLAN", f"{vid}, pvid: {yes(vid in pvids)} {name}")
    for pvid in pvids:
        if pvid not in [vid for vid, _ in named]:
            yield Line(1, "VLAN", f"{pvid}, pvid: yes" if pvid else "no pvid")
    for value in _values(tlvs, DOT1, 2):
        supported = yes(value["port-and-protocol-vlan-supported"])
        enabled = yes(value["port-and-protocol-vlan-enabled"])
        ppvid = f"{value['port-vlan-id']}, " if value["port-vlan-id"] else ""
        yield Line(1, "PPVID", f"{ppvid}supported: {supported}, enabled: {enabled}")
    for value in _values(tlvs, DOT1, 4):
        yield Line(1, "PI", _spaced(value["protocol-identity"], " "))
    if any(tlv.get("oui") == MED and tlv.get("value") is not None and "error" not in tlv for tlv in tlvs):
        yield Line(1, "LLDP-MED")
        yield from _med_lines(tlvs)


def remaining_lines(tlvs: Sequence[Row]) -> Iterator[Line]:
    """What lldpcli would list in octets, as far as we can read it; then what we cannot, and what is broken."""
    sound = [tlv for tlv in tlvs if "error" not in tlv]
    for tlv in sound:
        if tlv.get("value") is not None and not _has_its_place(tlv):
            yield Line(1, said(tlv.get("name")))
            yield from _field_lines(tlv["value"], 2)
    yield from _under("Unknown TLVs", [_unknown_line(tlv) for tlv in sound if tlv.get("value") is None])
    yield from _under("Unread", [line for tlv in sound if _has_its_place(tlv) for line in _beyond_lines(tlv)])
    yield from _under("Broken TLVs", [_broken_line(tlv) for tlv in tlvs if "error" in tlv])


def said(value: Any) -> str:
    """A field on one line; a dash where nothing is said."""
    match value:
        case None | []:
            return "-"
        case bool():
            return yes(value)
        case list():
            return ", ".join(map(said, value))
    return str(value)


def yes(value: Any) -> str:
    return "yes" if value else "no"


def _mac_phy_lines(value: Row) -> Iterator[Line]:
    supported, enabled = yes(value["auto-negotiation-supported"]), yes(value["auto-negotiation-enabled"])
    yield Line(2, "PMD autoneg", f"supported: {supported}, enabled: {enabled}")
    duplexes: dict[str, set[str]] = {}
    for offer in value["auto-negotiation-cap"] if value["auto-negotiation-enabled"] else ():
        medium, _, duplex = str(offer).removesuffix(" duplex").rpartition(" ")
        if duplex in ("half", "full"):
            duplexes.setdefault(medium, set()).add(duplex)
        else:
            duplexes.setdefault(str(offer), set())
    for medium, offered in duplexes.items():
        half, full = (yes(duplex in offered) for duplex in ("half", "full"))
        yield Line(3, "Adv", medium.replace("BASE", "Base") + (f", HD: {half}, FD: {full}" if offered else ""))
    if value["operational-pmd-type"] or value["operational-mau-type"]:
        medium = value["operational-pmd-type"] or f"dot3MauType {value['operational-mau-type']}"
        yield Line(3, "MAU oper type", str(medium))


def _power_lines(value: Row) -> Iterator[Line]:
    supported, enabled = yes(value["mdi-power-supported"]), yes(value["mdi-power-enabled"])
    control = yes(value["power-pair-controlable"])
    yield Line(2, "MDI Power", f"supported: {supported}, enabled: {enabled}, pair control: {control}")
    yield Line(3, "Device type", _DEVICES.get(value["power-port-class"], said(value["power-port-class"])))
    yield Line(3, "Power pairs", said(value["power-pairs"]))
    yield Line(3, "Class", said(value["power-class"]).replace("class", "class "))
    if "power-type" in value:
        number = said(value["power-type"]).removeprefix("type-").partition("-")[0]
        yield Line(3, "Power type", number)
        yield Line(3, "Power Source", POWER_SOURCES.get(value["power-source"], said(value["power-source"])))
        yield Line(3, "Power Priority", said(value["power-priority"]))
        yield Line(3, "PD requested power Value", _milliwatts(value["pd-requested-power-value"]))
        yield Line(3, "PSE allocated power Value", _milliwatts(value["pse-allocated-power-value"]))
    for key, title in POWER_TYPE_3_4.items():
        if key in value:
            yield Line(3, title, _power_text(key, value[key]))


def _power_text(key: str, value: Any) -> str:
    if key in POWERS:
        return _milliwatts(value)
    word = POWER_WORDS.get(key, {}).get(value)
    return said(value).replace("class", "Class ") if word is None else word


def _med_lines(tlvs: Sequence[Row]) -> Iterator[Line]:
    for value in _values(tlvs, MED, 1):
        yield Line(2, "Device Type", DEVICE_CLASSES.get(value["device-class"], said(value["device-class"])))
        for word in value["capabilities"]:
            yield Line(2, "Capability", f"{MED_CAPABILITIES.get(word, word)}, yes")
    for value in _values(tlvs, MED, 2):
        application = " ".join(word.capitalize() for word in said(value["application-type"]).split("-"))
        yield Line(2, "LLDP-MED Network Policy for", f"{application}, Defined: {yes(not value['unknown'])}")
        if value["tagged"]:
            vid = value["vlan-id"]
            yield Line(3, "VLAN", {0: "priority", 4095: "reserved"}.get(vid, str(vid)))
        yield Line(3, "Priority", PRIORITIES[value["priority"]])
        yield Line(3, "PCP", said(value["priority"]))
        yield Line(3, "DSCP Value", said(value["dscp"]))
    for value in _values(tlvs, MED, 3):
        kind = said(value["location-format"])
        geoid = f", Geoid: {GEOIDS.get(value['datum'], value['datum'])}" if "datum" in value else ""
        yield Line(2, "LLDP-MED Location Identification", f"Type: {LOCATIONS.get(kind, kind)}{geoid}")
        yield from _location_lines(value)
    for value in _values(tlvs, MED, 4):
        yield Line(2, "Extended Power-over-Ethernet")
        yield Line(3, "Power Type & Source", _DEVICES.get(value["power-type"], said(value["power-type"])))
        yield Line(3, "Power Source", MED_POWER_SOURCES.get(value["power-source"], said(value["power-source"])))
        yield Line(3, "Power priority", said(value["power-priority"]))
        yield Line(3, "Power Value", _milliwatts(value["power-value"]))
    inventory: dict[str, Any] = {}
    for subtype in range(FIRST_INVENTORY, LAST_INVENTORY + 1):
        for value in _values(tlvs, MED, subtype):
            inventory |= value
    if inventory:
        yield Line(2, "Inventory")
        for key, title in INVENTORY.items():
            if key in inventory:
                yield Line(3, title, str(inventory[key]))


def _location_lines(value: Row) -> Iterator[Line]:
    if "latitude" in value:
        yield Line(3, "Latitude", _degrees(value["latitude"], "NS"))
        yield Line(3, "Longitude", _degrees(value["longitude"], "EW"))
        unit = ALTITUDES.get(value["altitude-type"], said(value["altitude-type"]))
        yield Line(3, "Altitude", f"{unit} {value['altitude']:g}")
    elif "civic-address" in value:
        yield Line(3, "Country", said(value["country-code"]))
        yield Line(3, "What", said(value["what"]))
        for item in value["civic-address"]:
            name = said(item["name"])
            yield Line(3, CIVIC_TYPES.get(name, name.replace("-", " ").capitalize()), said(item["value"]))
    elif "elin" in value:
        yield Line(3, "ECS ELIN", said(value["elin"]))
    else:
        yield Line(3, "Data", said(value.get("data")))


def _values(tlvs: Sequence[Row], oui: str, subtype: int) -> list[Row]:
    """The documents of one kind of TLV."""
    found = (tlv for tlv in tlvs if (tlv.get("oui"), tlv.get("subtype")) == (oui, subtype) and "error" not in tlv)
    return [tlv["value"] for tlv in found if tlv.get("value") is not None]


def _has_its_place(tlv: Row) -> bool:
    """Whether it is among what is printed in lldpcli's way."""
    if tlv.get("type") != ORGANIZATIONAL:
        return int(tlv.get("type", 0)) <= LAST_BASIC
    return tlv.get("subtype") in _PLACED.get(str(tlv.get("oui")), ())


def _under(title: str, lines: Sequence[Line]) -> Iterator[Line]:
    if lines:
        yield Line(1, title)
        yield from lines


def _unknown_line(tlv: Row) -> Line:
    octets, oui = str(tlv.get("hex") or "").upper(), tlv.get("oui")
    if not oui:
        return Line(2, "TLV", f"Type: {said(tlv.get('type'))}, Len: {len(octets) // 2} {_spaced(octets, ',')}")
    octets = octets[2 * ORGANIZATIONAL_HEADER :]
    what = f"OUI: {_spaced(str(oui).upper(), ',')}, SubType: {said(tlv.get('subtype'))}"
    return Line(2, "TLV", f"{what}, Len: {len(octets) // 2} {_spaced(octets, ',')}")


def _broken_line(tlv: Row) -> Line:
    return Line(2, said(tlv.get("name")), f"{said(tlv.get('error'))}: {said(tlv.get('hex'))}")


def _beyond_lines(tlv: Row) -> Iterator[Line]:
    """What of a TLV is not among the fields that it is printed with."""
    value = tlv.get("value") or {}
    found = [f"{key}: {said(value[key])}" for key in BEYOND if key in value]
    if found:
        yield Line(2, said(tlv.get("name")), ", ".join(found))


def _field_lines(value: Row, level: int) -> Iterator[Line]:
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            yield Line(level, key)
            yield from _field_lines(entry, level + 1)
        elif isinstance(entry, list) and any(isinstance(item, Mapping) for item in entry):
            for item in entry:
                yield Line(level, key)
                yield from _field_lines(item, level + 1)
        else:
            yield Line(level, key, said(entry))


def _spaced(octets: str, separator: str) -> str:
    return separator.join(octets[at : at + 2] for at in range(0, len(octets), 2))


def _milliwatts(value: Any) -> str:
    return said(value * MILLIWATTS)


def _degrees(value: float, letters: str) -> str:
    return f"{abs(value):.6f}".rstrip("0").rstrip(".") + letters[value < 0]


_DEVICES: Mapping[str, str] = {"pse": "PSE", "pd": "PD"}
_PLACED: Mapping[str, Sequence[int]] = {DOT1: range(1, 5), DOT3: range(1, 5), MED: range(1, 12)}
