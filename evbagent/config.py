"""The configuration: TOML files, validated, with errors that name file and key. Never written by the agent."""

import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct, ValidationError, convert, field, to_builtins

from evbagent.dcbxconfig import DcbxConfig, dcbx_wishes
from evbagent.libvirtconfig import LibvirtConfig
from evbagent.lldpconfig import LldpConfig
from evbagent.switchconfig import SwitchConfig, switch_rules
from evbagent.tables import Table, in_words
from protocols.frame import parse_mac
from protocols.lldp.tlvs import printable

DEFAULT_FILE = Path("/etc/evbagent/evbagent.toml")

Exponent = Annotated[int, Meta(ge=0, le=27, description="10 us * 2^n; 28 and more overflow lldpad")]
Text = Annotated[str, Meta(min_length=1, max_length=255)]
# The shortest VSI takes 29 octets of the 1,475 that an ECPDU has for them.
MOST_VSIS_PER_ECPDU = 50
MOST_NAME_OCTETS = 15

T = TypeVar("T")


class ConfigError(Exception):
    """One line that names the file, the key and what is wrong with it."""


class EvbConfig(Table, frozen=True):
    """The EVB TLV. `reflective_relay` None: ask, except on a port of a Linux bridge (a station's software VEB)."""

    edition: Literal["auto", "ratified", "draft"] = "auto"
    reflective_relay: Literal["request", "off"] | None = None
    ecp_retries: Annotated[int, Meta(ge=0, le=7)] = 3
    ecp_ack_timer_exponent: Exponent = 14
    resource_wait_delay_exponent: Exponent = 20
    keep_alive_exponent: Exponent = 20
    group_ids: bool = False


class VdpConfig(Table, frozen=True):
    """VSI associations, and how ECP carries them.

    `on_stop`: whether VSIs stay associated while the agent is not running, so that guests keep their traffic over its
    restart. `reassociate`: ask again for a VSI that was lost. `without_evb`: a station also asks where no bridge's EVB
    TLV was heard. `ecpdu_gap`: milliseconds between a peer's acknowledgement and the next ECPDU. `ecp_destination`
    and `ecp_ethertype` are of the ratified edition.
    """

    on_stop: Literal["keep", "deassociate"] = "keep"
    reassociate: bool = True
    without_evb: bool = False
    vsis_per_ecpdu: Literal["auto"] | Annotated[int, Meta(ge=1, le=MOST_VSIS_PER_ECPDU)] = "auto"
    ecpdu_gap: Literal["auto"] | Annotated[int, Meta(ge=0, le=10_000)] = "auto"
    max_vsis: Annotated[int, Meta(ge=1, le=65_536)] = 8192
    max_filters: Annotated[int, Meta(ge=1, le=1 << 20)] = 65_536
    ecp_destination: str | None = None
    ecp_ethertype: Literal[0x8940, 0x8890] = 0x8940


class UplinkConfig(Table, frozen=True):
    """What differs on the uplinks that a glob names."""

    role: Literal["station", "bridge"] | None = None
    reflective_relay: Literal["request", "off"] | None = None
    lldp: Mapping[str, Any] = field(default_factory=dict)
    evb: Mapping[str, Any] = field(default_factory=dict)
    vdp: Mapping[str, Any] = field(default_factory=dict)
    dcbx: Mapping[str, Any] = field(default_factory=dict)


class Config(Table, frozen=True):
    """The whole configuration. `interfaces` None: every physical uplink."""

    role: Literal["station", "bridge"] = "station"
    interfaces: tuple[Text, ...] | None = None
    lldp: LldpConfig = LldpConfig()
    evb: EvbConfig = EvbConfig()
    vdp: VdpConfig = VdpConfig()
    dcbx: DcbxConfig = DcbxConfig()
    switch: SwitchConfig = SwitchConfig()
    libvirt: LibvirtConfig = LibvirtConfig()
    uplink: Mapping[str, UplinkConfig] = field(default_factory=dict)

    def with_role(self, role: str) -> "Config":
        """The same with another general role, as the command line may ask for."""
        return convert(to_builtins(self) | {"role": role}, Config)

    def for_uplink(self, name: str) -> "UplinkSettings":
        """The settings of one uplink: the general ones, then each `[uplink."GLOB"]` that fits, in order."""
        role, lldp, evb, vdp = self.role, to_builtins(self.lldp), to_builtins(self.evb), to_builtins(self.vdp)
        dcbx = to_builtins(self.dcbx)
        for glob, uplink in self.uplink.items():
            if not fnmatchcase(name, glob):
                continue
            role = uplink.role or role
            lldp = _merge(lldp, dict(uplink.lldp))
            evb = _merge(evb, dict(uplink.evb))
            vdp = _merge(vdp, dict(uplink.vdp))
            dcbx = _merge(dcbx, dict(uplink.dcbx))
            if uplink.reflective_relay is not None:
                evb["reflective-relay"] = uplink.reflective_relay
        return UplinkSettings(
            role,
            convert(lldp, LldpConfig),
            convert(evb, EvbConfig),
            convert(vdp, VdpConfig),
            convert(dcbx, DcbxConfig),
        )


class UplinkSettings(Struct, frozen=True):
    """What holds on one uplink."""

    role: Literal["station", "bridge"]
    lldp: LldpConfig
    evb: EvbConfig
    vdp: VdpConfig = VdpConfig()
    dcbx: DcbxConfig = DcbxConfig()


def load(file: Path | None) -> Config:
    """Read `file`; without one, the default file and its conf.d, which may be absent. Raises ConfigError."""
    if file is not None:
        return parse([file])
    files = [DEFAULT_FILE] if DEFAULT_FILE.exists() else []
    files += sorted(DEFAULT_FILE.parent.glob("conf.d/*.toml"))
    return parse(files)


def parse(files: Sequence[Path]) -> Config:
    """Merge the files, later over earlier, table by table. Each is validated alone first, so errors name the file."""
    merged: dict[str, Any] = {}
    config = Config()
    for file in files:
        merged = _merge(merged, read_toml(file))
        config = _validate(merged, file)
    return config


def read_toml(file: Path) -> dict[str, Any]:
    """One file's document. Raises ConfigError."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 text (octet {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not valid TOML: {error}") from error


def _validate(document: dict[str, Any], file: Path) -> Config:
    try:
        config = convert(document, Config)
    except ValidationError as error:
        raise ConfigError(f"{file}: {printable(in_words(str(error)))}") from error
    try:
        _check_destination(config.vdp.ecp_destination, "vdp")
        dcbx_wishes(config.dcbx)
        for glob in config.interfaces or ():
            check_glob(glob, "interfaces")
        for glob, uplink in config.uplink.items():
            check_glob(glob, "uplink")
            _check_part(uplink.lldp, LldpConfig, f"uplink.{glob}.lldp")
            _check_part(uplink.evb, EvbConfig, f"uplink.{glob}.evb")
            vdp = _check_part(uplink.vdp, VdpConfig, f"uplink.{glob}.vdp")
            # Parts that were right alone may not be right together.
            dcbx = _merge(to_builtins(config.dcbx), dict(uplink.dcbx))
            dcbx_wishes(_check_part(dcbx, DcbxConfig, f"uplink.{glob}.dcbx"), f"uplink.{glob}.dcbx")
            _check_destination(vdp.ecp_destination, f"uplink.{glob}.vdp")
        switch_rules(config.switch)
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{file}: {printable(str(error))}") from error
    return config


def check_glob(glob: str, where: str) -> None:
    """ConfigError when no interface can have such a name (the kernel's dev_valid_name): it is a slip of the pen."""
    is_too_long = len(glob.encode()) > MOST_NAME_OCTETS and not _WILDCARDS & set(glob)
    if is_too_long or ("[" not in glob and any(c.isspace() or c in "/:" for c in glob)):
        raise ConfigError(f"{where}: {printable(repr(glob))} can be no interface's name")


def _check_part(part: Mapping[str, Any], kind: type[T], where: str) -> T:
    try:
        return convert(part, kind)
    except ValidationError as error:
        raise ValueError(f"{where}: {in_words(str(error))}") from error


def _check_destination(address: str | None, where: str) -> None:
    try:
        if address is not None and not any(parse_mac(address)):
            raise ValueError(f"{address!r} is nobody's address")
    except ValueError as error:
        raise ValueError(f"{where}.ecp-destination: {error}") from error


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if key not in _VALUES and isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged


_WILDCARDS = frozenset("*?[")

# Tables that are one value, which a later one replaces: what is right in each may be wrong when mixed.
_VALUES = frozenset({"civic", "coordinates", "power"})
