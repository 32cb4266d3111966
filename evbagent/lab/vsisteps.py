"""What the lab shows of VSIs: the switch learns which guests are behind the uplink, and both sides keep agreeing."""

import json
from collections.abc import Mapping
from time import monotonic
from typing import Any
from uuid import UUID

from evbagent.lab.agents import answer
from evbagent.lab.dcbxsteps import wait_for_dcbx
from evbagent.lab.inside import MAC_A, MAC_B, UPLINK, Lab
from evbagent.lab.outcome import Outcome

INSTANCES: Mapping[str, tuple[str, bytes]] = {
    "A": (str(UUID("a1412857-60f7-4ce1-a95a-2164943f53a0")), MAC_A),
    "B": (str(UUID("a1412857-60f7-4ce1-a95a-2164943f53b0")), MAC_B),
}
PROFILE = ("--manager", "12", "--type", "7", "--type-version", "1")
BACK_SECONDS = 5.0
CANNOT = "lldpad as a switch never answers the draft's VDP: nothing to show"


def vsis_associated(lab: Lab) -> Outcome:
    """The guests' VSIs by `evbagent vsi associate`; our own switch also chooses the VLAN."""
    if not lab.switch.answers_vdp:
        return Outcome(True, CANNOT)
    vid = 0 if lab.switch.assigns_vids else 100
    began = monotonic()
    answers = []
    for instance, mac in INSTANCES.values():
        words = ("vsi", "associate", UPLINK, "--instance", instance, *PROFILE, "--filter", f"{vid}-{mac.hex(':')}")
        answers.append(answer(lab.agent.command(*words, "--wait", "10", "--json")))
    took = monotonic() - began
    wanted = {instance for instance, _ in INSTANCES.values()}

    def known() -> bool:
        return set(associated(lab)) == wanted and lab.switch.vsis() in (None, wanted)

    lab.journal.wait_for(known, "both state files have the VSIs", BACK_SECONDS)
    states = associated(lab)
    vids = {entry["vid"] for vsi in states.values() for entry in vsi["filters"]}
    told = f"VID {', '.join(map(str, sorted(vids)))}" + (" assigned by the switch" if not vid else "")
    sees = lab.switch.vsis()
    by_switch = "" if sees is None else f"; the switch holds {len(sees)}"
    return Outcome(
        0 not in vids,
        f"{len(states)} VSIs associated in {took * 1000:.0f} ms, most of it the commands' own time: {told}{by_switch}",
    )


def vsi_withdrawn(lab: Lab) -> Outcome:
    """The switch takes one away; it comes back by itself."""
    if not lab.switch.can_deassociate:
        return Outcome(True, "lldpad as a switch cannot be told to take a VSI away: nothing to show")
    instance = INSTANCES["B"][0]
    before = associated(lab)[instance]["since"]
    began = monotonic()
    lab.switch.deassociate(instance)
    lab.journal.wait_for(
        lambda: associated(lab).get(instance, {}).get("since", before) != before, "the VSI is back", BACK_SECONDS
    )
    return Outcome(True, f"`evbagent switch deassociate`: guest B's VSI is back {monotonic() - began:.2f} s later")


def vsis_return(lab: Lab) -> Outcome:
    """The switch had died: the VSIs are associated with the new one, and nobody had to ask."""
    if not lab.switch.answers_vdp:
        return Outcome(True, CANNOT)
    return _all_back(lab, "the switch that was started again has been asked for")


def agent_restarted(lab: Lab) -> Outcome:
    """The agent that was killed starts again: it asks for the VSIs anew, and the switch never saw them go."""
    before = lab.switch.vsis_since()
    lab.agent.start(lab.journal)
    if not lab.switch.answers_vdp:
        return Outcome(True, CANNOT)
    outcome = _all_back(lab, "the new agent has found and asked for")
    wait_for_dcbx(lab)
    after = lab.switch.vsis_since()
    never_went = "" if after is None else "; the switch never saw them go"
    return Outcome(outcome.ok and before == after, outcome.detail + never_went)


def associated(lab: Lab) -> dict[str, dict[str, Any]]:
    """The VSIs that the host's state file has as associated, by their ID."""
    vsis = lab.agent.uplink().get("vsis", ())
    return {vsi["vsi-id"]: vsi for vsi in vsis if vsi["state"] == "associated"}


def _all_back(lab: Lab, what: str) -> Outcome:
    began = monotonic()
    wanted = {instance for instance, _ in INSTANCES.values()}

    def back() -> bool:
        sees = lab.switch.vsis()
        return set(associated(lab)) == wanted and sees in (None, wanted)

    lab.journal.wait_for(back, f"VSIs are associated again; {json.dumps(lab.agent.uplink().get('vsis'))}", BACK_SECONDS)
    return Outcome(True, f"{what} both VSIs: associated {monotonic() - began:.2f} s later")
