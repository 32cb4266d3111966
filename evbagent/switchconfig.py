"""The `[switch]` table: what this agent answers as a bridge, in the words of people, made into rules of the policy."""

from collections.abc import Callable, Iterable
from re import fullmatch
from typing import Annotated, TypeVar

from msgspec import Meta

from evbagent.tables import Table
from protocols.timers import SECOND
from protocols.vdp.rules import PolicyRules, Rule
from protocols.vdp.vlans import Ranges
from protocols.vdp.vsi import Response, parse_manager, parse_vsi_id

Numbers = int | str | tuple[int | str, ...]
"""A number, a range as "100-199", or a list of these."""

Texts = str | tuple[str, ...]

Capacity = Annotated[int, Meta(ge=0, le=1_000_000)]

T = TypeVar("T")


class AnswerConfig(Table, frozen=True):
    """What requests are answered. See `protocols.vdp.rules.Rule`; `delay` is in seconds."""

    answer: Response = Response.SUCCESS
    hard: bool = False
    keep: bool = False
    vids: Numbers | None = None
    assign: Numbers | None = None
    pcp: Annotated[int, Meta(ge=0, le=7)] | None = None
    capacity: Capacity | None = None
    delay: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    silent: bool = False


class RuleConfig(AnswerConfig, frozen=True):
    """And which requests: those that fit everything that is given."""

    manager: Texts | None = None
    type: Numbers | None = None
    type_version: Numbers | None = None
    instance: Texts | None = None


class SwitchConfig(Table, frozen=True):
    """The first rule that fits decides, else the default one; `capacity` is of all rules together."""

    capacity: Capacity | None = None
    exhausted: Response = Response.INSUFFICIENT_RESOURCES
    default: AnswerConfig = AnswerConfig()
    rule: tuple[RuleConfig, ...] = ()


def switch_rules(config: SwitchConfig) -> PolicyRules:
    """The rules that the table means. Raises ValueError naming the key: "switch.rule[2].vids: ..."."""
    if config.exhausted is Response.SUCCESS:
        raise ValueError("switch.exhausted: success is not an answer for want of resources")
    return PolicyRules(
        rules=tuple(_rule(rule, f"switch.rule[{number}]") for number, rule in enumerate(config.rule)),
        default=_answer(config.default, "switch.default"),
        capacity=config.capacity,
        exhausted=config.exhausted,
    )


def _rule(config: RuleConfig, where: str) -> Rule:
    answer = _answer(config, where)
    return Rule(
        managers=_parsed(config.manager, parse_manager, f"{where}.manager"),
        type_ids=_ranges(config.type, 0, 0xFFFFFF, f"{where}.type"),
        versions=_ranges(config.type_version, 0, 255, f"{where}.type-version"),
        instances=_parsed(config.instance, parse_vsi_id, f"{where}.instance"),
        response=answer.response,
        hard=answer.hard,
        keep=answer.keep,
        vids=answer.vids,
        assign=answer.assign,
        pcp=answer.pcp,
        capacity=answer.capacity,
        delay=answer.delay,
        silent=answer.silent,
    )


def _answer(config: AnswerConfig, where: str) -> Rule:
    return Rule(
        response=config.answer,
        hard=config.hard,
        keep=config.keep,
        vids=_ranges(config.vids, 1, 4094, f"{where}.vids"),
        assign=_ranges(config.assign, 1, 4094, f"{where}.assign"),
        pcp=config.pcp,
        capacity=config.capacity,
        delay=round(config.delay * SECOND),
        silent=config.silent,
    )


def _parsed(texts: Texts | None, parse: Callable[[str], T], where: str) -> frozenset[T] | None:
    if texts is None:
        return None
    try:
        _check_given(texts)
        return frozenset(map(parse, [texts] if isinstance(texts, str) else texts))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _ranges(numbers: Numbers | None, least: int, most: int, where: str) -> Ranges | None:
    if numbers is None:
        return None
    given: Iterable[int | str] = numbers if isinstance(numbers, tuple) else (numbers,)
    try:
        _check_given(numbers)
        return tuple(_range(number, least, most) for number in given)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _check_given(what: Numbers | Texts) -> None:
    """Nothing at all is a slip: who wants any number or text leaves the key out."""
    if what in ("", ()):
        raise ValueError("is empty")


def _range(number: int | str, least: int, most: int) -> tuple[int, int]:
    if isinstance(number, int):
        first = last = number
    else:
        found = fullmatch(_RANGE, number)
        if found is None:
            raise ValueError(f'{number!r} is neither a number nor a range like "100-199"')
        first = int(found[1], 0)
        last = first if found[2] is None else int(found[2], 0)
    if not least <= first <= last <= most:
        raise ValueError(f"{number!r} is not within {least}-{most}" if first <= last else f"{number!r} is empty")
    return first, last


_NUMBER = " *(0[xX][0-9A-Fa-f]+|0|[1-9][0-9]*) *"
_RANGE = f"{_NUMBER}(?:-{_NUMBER})?"
