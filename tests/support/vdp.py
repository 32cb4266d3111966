"""Scripted stations and bridges of VDP: they do as a test says, and record what they hear.

Their octets are made by hand (tests/support/vdpdus.py), their rules are the test's: they take what they are given for
granted, keep no VSI timers, and are no reference for anything.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tests.support.ecppeer import DRAFT_EVB, EcpPeer, evb_body
from tests.support.namespaces import Namespace
from tests.support.vdpdus import DEASSOCIATE, RESPONSE, VsiOctets

MAX_OCTETS = {False: 1490, True: 1482}  # of association TLVs and manager, ratified and draft: 42 and 37 usual VSIs

Answer = Callable[[VsiOctets], VsiOctets | None]
"""A bridge's answer to one VSI of a request, None for none."""


class ScriptedBridge(EcpPeer):
    """A bridge. Answers each VSI by `answer`, `pack` VSIs an ECPDU (or as many as fit), `delay` s after the request.

    `vsis` has what it holds, by VSI ID: the last answer with success to each VSI that was not deassociated since.
    """

    def __init__(
        self,
        namespace: Namespace,
        interface: str,
        *,
        evb: bytes | None = None,
        draft: bool = False,
        answer: Answer | None = None,
        pack: int | None = None,
        delay: float = 0.0,
    ) -> None:
        offer = evb if evb is not None else DRAFT_EVB if draft else evb_body("bridge")
        super().__init__(namespace, interface, evb=offer, draft=draft)
        self.answer = answer or (grant_draft if draft else grant)
        self.pack = pack
        self.delay = delay
        self.vsis: dict[bytes, VsiOctets] = {}

    def withdraw(self, vsis: Iterable[VsiOctets]) -> None:
        """DeAssociate them unasked, in as few ECPDUs as can be."""
        commands = [replace(vsi, kind=DEASSOCIATE, status=0, organizational=()) for vsi in vsis]
        for vsi in commands:
            self.vsis.pop(vsi.vsi_id, None)
        for group in batches(commands, self.draft):
            self.send(group)

    def forget(self) -> None:
        """As if it had been restarted, but for its sequence number: it holds nothing, and the next request is new."""
        self.vsis.clear()
        self._last_request = None

    def wait_for(self, vsis: Iterable[VsiOctets], timeout: float = 10.0) -> None:
        """Until it holds all of these."""
        wanted = {vsi.vsi_id for vsi in vsis}
        self.wait(lambda: wanted <= self.vsis.keys(), f"the bridge holds {len(wanted)} VSIs", timeout)

    def _take_vsis(self, vsis: list[VsiOctets]) -> None:
        answers: list[VsiOctets] = []
        for vsi in vsis:
            answer = self.answer(vsi)
            if answer is None:
                continue
            answers.append(replace(answer, organizational=()))
            if answer.kind == DEASSOCIATE:
                self.vsis.pop(vsi.vsi_id, None)
            elif answer.code == 0:
                self.vsis[vsi.vsi_id] = answer
        for group in batches(answers, self.draft, self.pack):
            self.send(group, self.delay)


def grant(vsi: VsiOctets, *, vid: int = 100) -> VsiOctets:
    """The ratified success, with this VID where the station left the choice to the bridge."""
    vids = [int.from_bytes(entry[-2:], "big") for entry in vsi.entries]
    return replace(vsi, status=RESPONSE).with_vids(*(word if word & 0xFFF else word | vid for word in vids))


def grant_draft(vsi: VsiOctets) -> VsiOctets:
    """The draft's success is the request itself."""
    return replace(vsi, status=0)


def refuse(code: int, *, flags: int = 0, kind: int | None = None) -> Answer:
    """The ratified refusal of everything but DeAssociates, with KEEP or HARD in `flags`. lldpad's is a DEASSOCIATE."""

    def answer(vsi: VsiOctets) -> VsiOctets:
        if vsi.kind == DEASSOCIATE:
            return grant(vsi)
        return replace(vsi, kind=kind or vsi.kind, status=RESPONSE | flags | code)

    return answer


class ScriptedStation(EcpPeer):
    """A station. `answers` has all answers in the order they came, `commands` the bridge's unasked DeAssociates."""

    def __init__(
        self,
        namespace: Namespace,
        interface: str,
        *,
        evb: bytes | None = None,
        draft: bool = False,
    ) -> None:
        offer = evb if evb is not None else DRAFT_EVB if draft else evb_body("station")
        super().__init__(namespace, interface, evb=offer, draft=draft)
        self.answers: list[VsiOctets] = []
        self.commands: list[VsiOctets] = []
        self._asked: set[bytes] = set()  # of the draft, where only this tells a command from an answer

    def ask(self, vsis: Sequence[VsiOctets], pack: int | None = None) -> None:
        """Send these requests, `pack` an ECPDU or as many as fit. A keep-alive is the same again."""
        self._asked.update(vsi.vsi_id for vsi in vsis)
        for group in batches(vsis, self.draft, pack):
            self.send(group)

    def ask_and_wait(self, vsis: Sequence[VsiOctets], timeout: float = 10.0) -> list[VsiOctets]:
        """The answers to these requests, in their order, the first one that comes to each."""
        begun = len(self.answers)
        self.ask(vsis)
        found: dict[bytes, VsiOctets] = {}

        def complete() -> bool:
            for answer in reversed(self.answers[begun:]):
                found[answer.vsi_id] = answer
            return all(vsi.vsi_id in found for vsi in vsis)

        self.wait(complete, f"answers to {len(vsis)} VSIs", timeout)
        return [found[vsi.vsi_id] for vsi in vsis]

    def _take_vsis(self, vsis: list[VsiOctets]) -> None:
        for vsi in vsis:
            answered = vsi.vsi_id in self._asked if self.draft else vsi.is_response
            self._asked.discard(vsi.vsi_id)
            (self.answers if answered else self.commands).append(vsi)


def batches(vsis: Iterable[VsiOctets], draft: bool = False, size: int | None = None) -> list[list[VsiOctets]]:
    """In their order, as many VSIs of one VSI manager as fit into an ECPDU, but at most `size`."""
    found: list[list[VsiOctets]] = []
    left = 0
    for vsi in vsis:
        octets = len(vsi.draft() if draft else vsi.ratified())
        if not found or octets > left or len(found[-1]) == size or found[-1][0].manager != vsi.manager:
            found.append([])
            left = MAX_OCTETS[draft] - (0 if draft else 18)
        found[-1].append(vsi)
        left -= octets
    return found
