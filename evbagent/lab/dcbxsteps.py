"""What the lab shows of DCBX: the switch says which priority is lossless, and a willing host follows."""

from typing import Any

from evbagent.lab.agents import LOSSLESS
from evbagent.lab.inside import UPLINK, Lab
from evbagent.lab.outcome import Outcome

AGREED_SECONDS = 5.0


def dcbx_agreed(lab: Lab) -> Outcome:
    """Both ends say the same of DCB in the end, and why."""
    if lab.switch.dcbx() is None:
        return Outcome(True, "lldpad says nothing of DCBX where the NIC has no DCB: nothing to show")
    wait_for_dcbx(lab)
    host = lab.agent.uplink()["dcbx"]
    shown = lab.agent.command("dcbx", "show", UPLINK)
    operational = host["operational"]
    share = operational["ets"]["tc-bandwidth-table"][operational["ets"]["priority-assignment-table"][LOSSLESS]]
    (rule,) = operational["application-priority-table"]
    return Outcome(
        shown.returncode == 0 and f"{LOSSLESS}:on" in shown.stdout and rule["application-priority"] == LOSSLESS,
        f"the switch says so, the host is willing and follows, and says so too: priority {LOSSLESS} is lossless, with "
        f"{share} % of the bandwidth, and for RoCEv2 (UDP port {rule['application-priority-protocol']}); "
        f"NIC: {host['nic-state']}",
    )


def wait_for_dcbx(lab: Lab) -> None:
    """Until the host has taken over what the switch says, if it says anything."""
    if lab.switch.dcbx() is not None:
        lab.journal.wait_for(lambda: _has_followed(lab), "the host has taken over what the switch says", AGREED_SECONDS)


def _has_followed(lab: Lab) -> bool:
    host: dict[str, Any] = lab.agent.uplink().get("dcbx") or {}
    switch = lab.switch.dcbx() or {}
    sides = ((host.get("operational") or {}).get("pfc"), (switch.get("remote") or {}).get("pfc"))
    return all(side is not None and side["enable"] == [LOSSLESS] for side in sides)
