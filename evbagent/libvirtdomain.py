"""Which mode each place of a libvirt document gets: `auto` and its like, by the state file and under a policy.

`auto`, `all` and `VEPA` become what policy and switch make of them; `VEB` and `PEPA` ask for what needs no switch, and
get it. libvirt's own words stay, whatever the switch says of them.
"""

from collections.abc import Callable
from functools import cache
from time import monotonic
from typing import NamedTuple

from evbagent.attach import Choice, PolicyUnmet, choose_mode
from evbagent.libvirtxml import Document, DocumentError, Place
from evbagent.policy import MACVLAN_MODES

Chooser = Callable[[str, str], Choice]
"""Uplink and policy in, choice out. Raises `PolicyUnmet`."""

OPEN_WORDS = frozenset({"auto", "all", "vepa"})
POLICY_OF_WORD = (("veb", "veb"), ("pepa", "private"))
"""In any letters; only `vepa` in small ones is libvirt's own."""


class Change(NamedTuple):
    """`word` is what the document has from now on, `mode` the same in the project's words; see `Choice` for others."""

    place: Place
    word: str
    mode: str
    reflective_relay: str
    reason: str


class Doubt(NamedTuple):
    """A place that stays as it is, though its guest would be cut off, or may be."""

    place: Place
    uplink: str
    reflective_relay: str
    reason: str


def chooser(state_dir: str, wait: float = 0.0) -> Chooser:
    """Asks the state file once for each uplink and policy, and waits `wait` seconds for all of them together."""
    deadline = monotonic() + wait

    @cache
    def choose(uplink: str, policy: str) -> Choice:
        return choose_mode(uplink, policy, state_dir=state_dir, wait=max(0.0, deadline - monotonic()))

    return choose


def changes(document: Document, policy: str, choose: Chooser) -> tuple[list[Change], list[str]]:
    """What has to be changed, and what the policy refuses, in words. Raises `DocumentError`."""
    made, refused = [], []
    for place in document.places:
        own = _policy(document, place, policy)
        if own is None:
            continue
        try:
            choice = _common([choose(uplink, own) for uplink in place.uplinks])
        except PolicyUnmet as error:
            refused.append(f"{where(place)}: {error}")
        else:
            word = MACVLAN_MODES[choice.mode]
            made.append(Change(place, word, choice.mode, choice.reflective_relay, choice.reason))
    return made, refused


def doubts(document: Document, choose: Chooser) -> list[Doubt]:
    """Places in VEPA, by libvirt's own word or by its default, whose uplink is not known to be reflected."""
    found = []
    for place in document.places:
        for uplink in place.uplinks if in_vepa(place) else ():
            choice = choose(uplink, "prefer-vepa")
            if choice.reflective_relay != "active":
                found.append(Doubt(place, uplink, choice.reflective_relay, choice.reason))
    return found


def in_vepa(place: Place) -> bool:
    """Whether libvirt puts guests into VEPA there. A macvtap without a mode is in it as well."""
    return place.mode == "vepa" or (place.mode is None and place.type == "direct")


def where(place: Place) -> str:
    return f"line {place.line}, column {place.column}"


def _policy(document: Document, place: Place, policy: str) -> str | None:
    """The policy for a place with a word of ours; None for one that stays as it is."""
    if place.mode is None or place.mode in document.modes():
        return None
    word = place.mode.lower()
    own = policy if word in OPEN_WORDS else dict(POLICY_OF_WORD).get(word)
    if own is None:
        words = ", ".join(document.modes())
        raise DocumentError(
            f"{where(place)}: there is no mode {place.mode!r}: choose auto, or one of libvirt's: {words}"
        )
    if place.type not in ("direct", "forward"):
        kind = f"type {place.type!r}" if place.type else "no type"
        raise DocumentError(
            f"{where(place)}: mode {place.mode!r} is for interfaces of type 'direct', this one has {kind}"
        )
    if not place.uplinks:
        raise DocumentError(f"{where(place)}: mode {place.mode!r} needs to know the uplink: add dev='…'")
    return own


def _common(choices: list[Choice]) -> Choice:
    """One mode for all uplinks of a pool: VEPA only if each is reflected, since a guest may get any of them."""
    return next((choice for choice in choices if choice.mode != "vepa"), choices[0])
