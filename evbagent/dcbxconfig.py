"""The `[dcbx]` table, in the words of dcb(8): what a port's DCB settings are to be, and whether the NIC gets them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from msgspec import Meta, field

from evbagent.tables import Table
from protocols.dcbx.model import Application, Eight, Selector, TransmissionSelection
from protocols.dcbx.settings import Tables

ALL = "all"
PERCENT = 100

Word = str | int | bool
Words = str | Mapping[str, Word]
"""`"0:ets 3:strict"` as dcb(8) has it, or the same as a table; `all` stands for every key that is not named."""

SELECTION_WORDS: Mapping[str, TransmissionSelection] = MappingProxyType(
    {
        "strict": TransmissionSelection.STRICT_PRIORITY,
        "cbs": TransmissionSelection.CREDIT_BASED_SHAPER,
        "ets": TransmissionSelection.ENHANCED_TRANSMISSION_SELECTION,
        "vendor": TransmissionSelection.VENDOR_SPECIFIC,
    }
)
DSCP_WORDS: Mapping[str, int] = MappingProxyType(
    {
        "default": 0,
        "ef": 46,
        **{f"cs{n}": 8 * n for n in range(1, 8)},
        **{f"af{c}{d}": 8 * c + 2 * d for c in range(1, 5) for d in range(1, 4)},
    }
)


class EtsConfig(Table, frozen=True):
    """Enhanced transmission selection. Nothing said at all: as the NIC has it.

    `willing` None: a station is, a bridge is not. `reco_...` is what the peer is to use; None: a bridge recommends what
    is configured for itself, a station nothing.
    """

    willing: bool | None = None
    prio_tc: Words | None = None
    tc_tsa: Words | None = None
    tc_bw: Words | None = None
    reco_prio_tc: Words | None = None
    reco_tc_tsa: Words | None = None
    reco_tc_bw: Words | None = None


class PfcConfig(Table, frozen=True):
    """Priority-based flow control. `delay`: bits that may still arrive, for buffers; None: as the NIC has it."""

    willing: bool | None = None
    prio_pfc: Words | tuple[int, ...] | None = None
    delay: Annotated[int, Meta(ge=0, le=0xFFFF)] | None = None


class AppConfig(Table, frozen=True):
    """Priorities of applications. `willing`: whether those that the peer names are taken over as well."""

    willing: bool | None = None
    default_prio: Annotated[int, Meta(ge=0, le=7)] | None = None
    ethtype_prio: Words = ""
    stream_port_prio: Words = ""
    dgram_port_prio: Words = ""
    port_prio: Words = ""
    dscp_prio: Words = ""


class DcbxConfig(Table, frozen=True):
    """`advertise` None: say DCBX TLVs in mode `apply` only. `on_stop`: the NIC's settings when the agent ends.

    `wait_for_peer`: seconds after the link has come up before settings are written that no peer has agreed to.
    """

    mode: Literal["off", "observe", "apply"] = "observe"
    dialect: Literal["auto", "ieee", "cee", "cin"] = "auto"
    advertise: bool | None = None
    on_stop: Literal["keep", "restore"] = "keep"
    wait_for_peer: Annotated[int, Meta(ge=0, le=3600)] = 15
    ets: EtsConfig = field(default_factory=EtsConfig)
    pfc: PfcConfig = field(default_factory=PfcConfig)
    app: AppConfig = field(default_factory=AppConfig)


@dataclass(frozen=True, slots=True)
class DcbxWishes:
    """What the configuration says; None: nothing. `pfc` has bit n for priority n."""

    ets: Tables | None = None
    recommended: Tables | None = None
    pfc: int | None = None
    apps: tuple[Application, ...] = ()

    @property
    def classes(self) -> int:
        """How many traffic classes it takes."""
        if self.ets is None:
            return 1
        return max(*self.ets.prio_tc, *(number for number, share in enumerate(self.ets.tc_bw) if share)) + 1


def dcbx_wishes(config: DcbxConfig, where: str = "dcbx") -> DcbxWishes:
    """What the table means. Raises ValueError naming the key: "dcbx.ets.tc-bw: ..."."""
    ets = config.ets
    own = _tables(ets.prio_tc, ets.tc_tsa, ets.tc_bw, f"{where}.ets", "")
    recommended = _tables(ets.reco_prio_tc, ets.reco_tc_tsa, ets.reco_tc_bw, f"{where}.ets", "reco-")
    return DcbxWishes(
        own,
        recommended,
        _priorities(config.pfc.prio_pfc, f"{where}.pfc.prio-pfc"),
        _applications(config.app, f"{where}.app"),
    )


def _tables(prio_tc: Words | None, tc_tsa: Words | None, tc_bw: Words | None, where: str, prefix: str) -> Tables | None:
    if prio_tc is None and tc_tsa is None and tc_bw is None:
        return None
    shares = _eight(tc_bw or "", _number("percentage", PERCENT), f"{where}.{prefix}tc-bw", "traffic class")
    if tc_tsa is None:
        # Who gives a class a share of the bandwidth has said what it is to be.
        ets, strict = SELECTION_WORDS["ets"], SELECTION_WORDS["strict"]
        selection = _of([int(ets if share else strict) for share in shares])
    else:
        selection = _eight(tc_tsa, _selection, f"{where}.{prefix}tc-tsa", "traffic class")
    classes = _eight(prio_tc or "", _number("traffic class", 7), f"{where}.{prefix}prio-tc", "priority")
    _check_shares(selection, shares, f"{where}.{prefix}tc-bw")
    return Tables(classes, selection, shares)


def _check_shares(selection: Eight, shares: Eight, where: str) -> None:
    ets = SELECTION_WORDS["ets"]
    for number, (kind, share) in enumerate(zip(selection, shares, strict=True)):
        if share and kind != ets:
            raise ValueError(f"{where}: traffic class {number} has {share} % but is not ets in tc-tsa")
    named = [number for number in range(8) if selection[number] == ets]
    total = sum(shares)
    if named and total != PERCENT:
        parts = " + ".join(f"{number}:{shares[number]}" for number in named)
        raise ValueError(f"{where}: the percentages of the ets classes ({parts}) sum to {total}, not to {PERCENT}")


def _priorities(words: Words | tuple[int, ...] | None, where: str) -> int | None:
    """Of `3:on 4:on`, or of a list of those that are on."""
    if words is None:
        return None
    if isinstance(words, tuple):
        for priority in words:
            if not 0 <= priority <= 7:
                raise ValueError(f"{where}: {priority} is no priority (0 to 7)")
        return sum(1 << priority for priority in set(words))
    return sum(on << priority for priority, on in enumerate(_eight(words, _switch, where, "priority")))


def _applications(config: AppConfig, where: str) -> tuple[Application, ...]:
    found: list[Application] = []
    if config.default_prio is not None:
        found.append(Application(config.default_prio, Selector.ETHERTYPE, 0))
    for key, words, selector, parse in (
        ("ethtype-prio", config.ethtype_prio, Selector.ETHERTYPE, _number("EtherType", 0xFFFF, 0x600)),
        ("stream-port-prio", config.stream_port_prio, Selector.TCP_SCTP, _number("port", 0xFFFF, 1)),
        ("dgram-port-prio", config.dgram_port_prio, Selector.UDP_DCCP, _number("port", 0xFFFF, 1)),
        ("port-prio", config.port_prio, Selector.TCP_SCTP_UDP_DCCP, _number("port", 0xFFFF, 1)),
        ("dscp-prio", config.dscp_prio, Selector.DSCP, _dscp),
    ):
        for protocol, priority in _pairs(words, parse, _number("priority", 7), f"{where}.{key}"):
            found.append(Application(priority, selector, protocol))
    return tuple(found)


def _eight(words: Words, parse: Callable[[Word], int], where: str, what: str) -> Eight:
    """A value for each of 0 to 7; 0 where nothing is said."""
    key = _number(what, 7)
    values = {word: _checked(parse, value, f"{where}: {what} {word}") for word, value in _split(words, where)}
    rest = values.pop(ALL, 0)
    numbered = dict(_once([(_checked(key, word, where), value) for word, value in values.items()], where))
    return _of([numbered.get(number, rest) for number in range(8)])


def _pairs(words: Words, key: Callable[[Word], int], value: Callable[[Word], int], where: str) -> list[tuple[int, int]]:
    pairs = [
        (_checked(key, one, where), _checked(value, other, f"{where}: {one}")) for one, other in _split(words, where)
    ]
    return _once(pairs, where)


def _once(pairs: list[tuple[int, int]], where: str) -> list[tuple[int, int]]:
    """The same; a number that is there twice, in whatever spelling, is an error."""
    seen: set[int] = set()
    for number, _ in pairs:
        if number in seen:
            raise ValueError(f"{where}: {number} is there twice")
        seen.add(number)
    return pairs


def _split(words: Words, where: str) -> list[tuple[str, Word]]:
    """Keys and values as they are written; one key twice is an error."""
    if not isinstance(words, str):
        return list(words.items())
    found: list[tuple[str, Word]] = []
    for part in words.split():
        key, _, value = part.partition(":")
        if not key or not value:
            raise ValueError(f'{where}: {words!r} is not like "0:1 3:2"')
        if key in dict(found):
            raise ValueError(f"{where}: {key} is there twice")
        found.append((key, value))
    return found


def _checked(parse: Callable[[Word], int], value: Word, where: str) -> int:
    try:
        return parse(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _number(what: str, most: int, least: int = 0) -> Callable[[Word], int]:
    def parse(word: Word) -> int:
        try:
            value = int(word, 0) if isinstance(word, str) else word
        except ValueError:
            value = -1
        if isinstance(word, bool) or not least <= value <= most:
            bounds = f"{least:#x} to {most:#x}" if least > 0xFF else f"{least} to {most}"
            raise ValueError(f"{word!r} is no {what} ({bounds})")
        return value

    return parse


def _selection(word: Word) -> int:
    if not isinstance(word, str) or word not in SELECTION_WORDS:
        raise ValueError(f"{word!r} is none of {', '.join(SELECTION_WORDS)}")
    return SELECTION_WORDS[word]


def _switch(word: Word) -> int:
    if word in ("on", "off"):
        return int(word == "on")
    if isinstance(word, bool):
        return int(word)
    raise ValueError(f"{word!r} is neither on nor off")


def _dscp(word: Word) -> int:
    if isinstance(word, str) and word.lower() in DSCP_WORDS:
        return DSCP_WORDS[word.lower()]
    return _number("DSCP", 63)(word)


def _of(values: list[int]) -> Eight:
    a, b, c, d, e, f, g, h = values
    return a, b, c, d, e, f, g, h
