"""The `[lldp]` table: how the LLDP agents run, and what they say in which scope."""

from collections.abc import Callable, Mapping
from enum import IntEnum, StrEnum
from ipaddress import ip_address
from types import MappingProxyType
from typing import Annotated, Literal

from msgspec import Meta, field

from evbagent.medconfig import MedConfig, code, fits
from evbagent.tables import Table
from protocols.frame import Scope, parse_mac
from protocols.lldp.addresses import AddressFamily
from protocols.lldp.tlvs import Capability, ChassisIdSubtype, PortIdSubtype

Text = Annotated[str, Meta(min_length=1, max_length=255)]
AdminStatusName = Literal["tx-only", "rx-only", "tx-and-rx", "disabled"]
MAX_IDENTIFIER, MAX_CUSTOM = 255, 507
ALL, NOT = "all", "!"
# Made by the machines of EVB, from what they have negotiated.
_EVB_TLVS = frozenset({(bytes.fromhex("0080c2"), 13), (bytes.fromhex("001b3f"), 0)})


class TlvName(StrEnum):
    """The optional TLVs, as `[lldp.tlvs]` calls them, in the order in which they are sent."""

    PORT_DESCRIPTION = "port-description"
    SYSTEM_NAME = "system-name"
    SYSTEM_DESCRIPTION = "system-description"
    SYSTEM_CAPABILITIES = "system-capabilities"
    MANAGEMENT_ADDRESS = "management-address"
    PORT_VLAN_ID = "port-vlan-id"
    LINK_AGGREGATION = "link-aggregation"
    MAC_PHY = "mac-phy"
    POWER_VIA_MDI = "power-via-mdi"
    DOT3_LINK_AGGREGATION = "dot3-link-aggregation"
    MAXIMUM_FRAME_SIZE = "maximum-frame-size"
    MED_CAPABILITIES = "med-capabilities"
    MED_NETWORK_POLICY = "med-network-policy"
    MED_LOCATION = "med-location"
    MED_POWER = "med-power"
    MED_INVENTORY = "med-inventory"
    CUSTOM = "custom"
    VLAN_NAME = "vlan-name"


TLV_GROUPS: Mapping[str, frozenset[TlvName]] = MappingProxyType(
    {
        ALL: frozenset(TlvName),
        "basic": frozenset(list(TlvName)[:5]),
        "dot1": frozenset({TlvName.PORT_VLAN_ID, TlvName.VLAN_NAME, TlvName.LINK_AGGREGATION}),
        "dot3": frozenset(
            {TlvName.MAC_PHY, TlvName.POWER_VIA_MDI, TlvName.DOT3_LINK_AGGREGATION, TlvName.MAXIMUM_FRAME_SIZE}
        ),
        "med": frozenset(name for name in TlvName if name.startswith("med-")),
    }
)
# What is true of the cable alone (802.3, LLDP-MED) says nothing to who is beyond a two-port relay or a provider.
_BEYOND_THE_CABLE = TLV_GROUPS["basic"] | TLV_GROUPS["dot1"] | {TlvName.CUSTOM}
DEFAULT_TLVS: Mapping[Scope, frozenset[TlvName]] = MappingProxyType(
    {
        Scope.NEAREST_BRIDGE: TLV_GROUPS[ALL],
        Scope.NEAREST_NON_TPMR_BRIDGE: _BEYOND_THE_CABLE,
        Scope.NEAREST_CUSTOMER_BRIDGE: _BEYOND_THE_CABLE,
    }
)
# There are lldpads, the other agents in the scope of EVB, that discard an LLDPDU that has two.
DEFAULT_MAX_MANAGEMENT_ADDRESSES: Mapping[Scope, int] = MappingProxyType({Scope.NEAREST_CUSTOMER_BRIDGE: 1})


class CustomTlv(Table, frozen=True):
    """An organizational TLV with fixed octets. `scopes` None: wherever `custom` TLVs are sent."""

    oui: str
    subtype: Annotated[int, Meta(ge=0, le=255)]
    hex: str | None = None
    text: str | None = None
    scopes: tuple[Scope, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.oui_octets) != 3:
            raise ValueError(f"oui is {self.oui!r}, not three octets in hexadecimal")
        if self.hex is not None and self.text is not None:
            raise ValueError("both hex and text are given")
        fits(self.value, MAX_CUSTOM, "the value")
        if (self.oui_octets, self.subtype) in _EVB_TLVS:
            raise ValueError(f"the TLV {self.oui} subtype {self.subtype} is EVB's, which is sent anyway")

    @property
    def oui_octets(self) -> bytes:
        return _octets(self.oui, "oui")

    @property
    def value(self) -> bytes:
        return _octets(self.hex, "hex") if self.hex is not None else (self.text or "").encode()


class LldpConfig(Table, frozen=True):
    """Variables of the LLDP agents, in the words of ieee802-dot1ab-lldp; durations in seconds.

    `transmit` false: a silent listener, whatever `admin_status` says. `chassis_id`, `port_id`: a subtype, or one and a
    value, as `local:rack 7`. `port_description`: `interface-alias` (the name while there is no alias),
    `interface-name`, or `text:` and one. `management_addresses`: addresses, patterns of addresses and of interfaces,
    with `!` before what is not meant; none but such: one of each version of IP. `tlvs`: names and groups, with `!`
    before what is left out; none but such: of the default.
    """

    message_tx_interval: Annotated[int, Meta(ge=1, le=3600)] = 30
    message_tx_hold_multiplier: Annotated[int, Meta(ge=1, le=100)] = 4
    message_fast_tx: Annotated[int, Meta(ge=1, le=3600)] = 1
    tx_fast_init: Annotated[int, Meta(ge=1, le=8)] = 4
    tx_credit_max: Annotated[int, Meta(ge=1, le=100)] = 5
    reinit_delay: Annotated[int, Meta(ge=1, le=10)] = 2
    max_neighbors: Annotated[int, Meta(ge=1, le=100_000)] = 32
    transmit: bool = True
    admin_status: Mapping[Scope, AdminStatusName] = field(default_factory=dict)
    chassis_id: str = "mac-address"
    port_id: str = "mac-address"
    port_description: str = "interface-alias"
    system_name: Text | None = None
    system_description: Text | None = None
    system_capabilities: tuple[str, ...] | None = None
    system_capabilities_enabled: tuple[str, ...] | None = None
    management_addresses: tuple[str, ...] = ()
    max_management_addresses: Mapping[Scope, Annotated[int, Meta(ge=0, le=255)]] = field(default_factory=dict)
    tlvs: Mapping[Scope, tuple[str, ...]] = field(default_factory=dict)
    custom_tlv: tuple[CustomTlv, ...] = ()
    med: MedConfig = field(default_factory=MedConfig)

    def __post_init__(self) -> None:
        _check("chassis-id", identifier, ChassisIdSubtype, self.chassis_id)
        _check("port-id", identifier, PortIdSubtype, self.port_id)
        _check("port-description", fixed_description, self.port_description)
        _check("system-capabilities", capability_bits, self.system_capabilities or ())
        _check("system-capabilities-enabled", capability_bits, self.system_capabilities_enabled or ())
        for pattern in self.management_addresses:
            _check("management-addresses", _check_pattern, pattern)
        for scope in self.tlvs:
            _check(f"tlvs.{scope}", self.chosen_tlvs, scope)

    def chosen_tlvs(self, scope: Scope) -> frozenset[TlvName]:
        """Which optional TLVs go out in this scope, if there is anything to say in them."""
        words = self.tlvs.get(scope, ())
        named = [_named(word) for word in words if not word.startswith(NOT)]
        left_out = [_named(word.removeprefix(NOT)) for word in words if word.startswith(NOT)]
        chosen = DEFAULT_TLVS[scope] if scope not in self.tlvs or (left_out and not named) else frozenset()
        return chosen.union(*named).difference(*left_out)

    def most_management_addresses(self, scope: Scope) -> int | None:
        """None: all."""
        return self.max_management_addresses.get(scope, DEFAULT_MAX_MANAGEMENT_ADDRESSES.get(scope))


def identifier(kind: type[IntEnum], setting: str) -> tuple[int, bytes | None]:
    """Subtype and octets of `chassis-id` or `port-id`; None when they are to be found out."""
    word, given, text = setting.partition(":")
    subtype = code(kind, word)
    name = kind(subtype).name
    if not given:
        if name not in _FOUND_OUT or (name == "INTERFACE_ALIAS" and kind is ChassisIdSubtype):
            raise ValueError(f"{word} needs a value: {word}:VALUE")
        return subtype, None
    match name:
        case "MAC_ADDRESS":
            octets = parse_mac(text)
        case "NETWORK_ADDRESS":
            address = ip_address(text)
            family = AddressFamily.IPV4 if address.version == 4 else AddressFamily.IPV6
            octets = bytes([family]) + address.packed
        case "AGENT_CIRCUIT_ID":
            octets = _octets(text, word)
        case _:
            octets = text.encode()
    if not fits(octets, MAX_IDENTIFIER, word):
        raise ValueError(f"{word} has an empty value")
    return subtype, octets


def fixed_description(setting: str) -> str | None:
    """The text that `port-description` gives, None when it names where to take it from."""
    word, given, text = setting.partition(":")
    if word == "text" and given:
        fits(text.encode(), 255, "the text")
        return text
    if setting not in ("interface-alias", "interface-name"):
        raise ValueError(f"{setting!r} is none of interface-alias, interface-name, text:TEXT")
    return None


def capability_bits(words: tuple[str, ...]) -> int:
    return sum({int(_CAPABILITIES[word]) if word in _CAPABILITIES else _no_capability(word) for word in words})


def _no_capability(word: str) -> int:
    raise ValueError(f"{word!r} is none of {', '.join(_CAPABILITIES)}")


def _named(word: str) -> frozenset[TlvName]:
    if word in TLV_GROUPS:
        return TLV_GROUPS[word]
    try:
        return frozenset({TlvName(word)})
    except ValueError:
        raise ValueError(f"{word!r} is none of {', '.join([*TLV_GROUPS, *TlvName])}") from None


def _check_pattern(pattern: str) -> None:
    """What has the form of one address must be one; all else may match some day."""
    text = pattern.removeprefix(NOT)
    if not text:
        raise ValueError("an empty pattern")
    if not set("*?[") & set(text) and (":" in text or not text.strip("0123456789.")):
        ip_address(text)


def _octets(text: str, what: str) -> bytes:
    """Octets in hexadecimal, with or without `:`, `-` or spaces between them."""
    try:
        return bytes.fromhex(text.replace(":", " ").replace("-", " "))
    except ValueError:
        raise ValueError(f"{what} is {text!r}, not octets in hexadecimal") from None


def _check(key: str, rule: Callable[..., object], *arguments: object) -> None:
    try:
        rule(*arguments)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


_CAPABILITIES: Mapping[str, Capability] = MappingProxyType(
    {str(capability.name).lower().replace("_", "-"): capability for capability in Capability}
)
# The subtypes whose value the host itself can tell.
_FOUND_OUT = frozenset({"MAC_ADDRESS", "INTERFACE_NAME", "INTERFACE_ALIAS", "NETWORK_ADDRESS", "LOCAL"})
