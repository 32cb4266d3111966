"""`evbagent vsi` and `evbagent switch`: VSIs associated and deassociated, from either end."""

import argparse
from typing import Any

from evbagent.client import Client, ClientError, WaitTimeout
from evbagent.show import answer_line, answer_text, escape
from evbagent.terminal import DONE, FAILED, UNANSWERED, UNMET, complain, print_json

GRACE_SECONDS = 5.0
MOST_FILTERS = 243
OPTIONS = ("manager", "type", "type_version", "filter", "hint", "vm_name", "vm_uuid", "vm_address")
STATUSES = (("granted", DONE), ("refused", UNMET), ("timed-out", UNANSWERED), ("link-lost", UNANSWERED))


def request(arguments: argparse.Namespace) -> int:
    """Ask the switch for one VSI, and say what it answers."""
    named = {option.replace("_", "-"): getattr(arguments, option, None) for option in OPTIONS}
    spec: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
    spec |= {"id": 1, "request": arguments.request, "instance": arguments.instance, "wait": arguments.wait}
    if getattr(arguments, "persistent", False):
        spec["persistent"] = True
    if len(spec.get("filter", ())) > MOST_FILTERS:
        # The agent would say the same, but so many do not even fit into a message to it.
        what = f"filter: there are {len(spec['filter'])} entries, at most {MOST_FILTERS} fit into a TLV"
        return complain(f"{arguments.interface}: VSI {arguments.instance}: {what}")
    try:
        with Client(arguments.state_dir) as client, client.vsi(arguments.interface) as session:
            session.request([spec])
            answer = next(session.answers(arguments.wait + GRACE_SECONDS))
    except WaitTimeout as error:
        return complain(f"{arguments.interface}: VSI {arguments.instance}: {error}", UNANSWERED)
    except ClientError as error:
        return complain(str(error))
    status = dict(STATUSES).get(str(answer.get("result")), FAILED)
    if arguments.json:
        said = ("result", "response", "text", "vsi")
        print_json({"interface": arguments.interface, **{key: answer.get(key) for key in said}})
    elif status == DONE:
        print(answer_line(answer))
    if status != DONE:
        complain(f"{arguments.interface}: VSI {arguments.instance}: {answer_text(answer)}")
    return status


def switch_deassociate(arguments: argparse.Namespace) -> int:
    """As the switch, end VSIs of stations."""
    try:
        with Client(arguments.state_dir) as client:
            withdrawn = client.withdraw(arguments.interface, arguments.instance, arguments.all)
    except ClientError as error:
        return complain(str(error))
    if arguments.json:
        print_json(withdrawn)
    elif withdrawn:
        for entry in withdrawn:
            print(f"{escape(entry.get('interface'))}: {escape(entry.get('vsi-id'))} deassociated")
    elif arguments.all:
        print("no vsis")
    if arguments.instance and not withdrawn:
        return complain(f"no VSI {arguments.instance} is held here")
    return DONE
