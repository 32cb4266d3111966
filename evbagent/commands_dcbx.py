"""`evbagent dcbx`: what is agreed about DCB, what of it the NIC does not have; writes that, or what was before."""

import argparse
from typing import Any

from evbagent.client import Client, ClientError
from evbagent.show import escape
from evbagent.show_dcbx import difference_words, render_dcbx, render_differences
from evbagent.terminal import DONE, FAILED, complain, print_json


def run(arguments: argparse.Namespace) -> int:
    """The exit status of `arguments.action`."""
    if arguments.action == "show":
        return _print(arguments, render_dcbx)
    if arguments.action == "diff":
        return _print(arguments, render_differences)
    return _change(arguments)


def _change(arguments: argparse.Namespace) -> int:
    try:
        with Client(arguments.state_dir) as client:
            (done,) = client.change_dcb(arguments.interface, arguments.action)
    except ClientError as error:
        return complain(str(error))
    if arguments.json:
        print_json(done)
    else:
        for difference in done.get("changes") or ():
            print(f"{escape(arguments.interface)}: {difference_words(difference)}")
        if not done.get("changes") and not done.get("error"):
            print(f"{escape(arguments.interface)}: nothing to write")
    return complain(f"{arguments.interface}: {done['error']}", FAILED) if done.get("error") else DONE


def _print(arguments: argparse.Namespace, render: Any) -> int:
    try:
        with Client(arguments.state_dir) as client:
            rows = client.request("show", what="dcbx", interface=arguments.interface)
    except ClientError as error:
        return complain(str(error))
    if not rows and arguments.interface is not None:
        return complain(f"{arguments.interface}: the agent does not serve it, or its dcbx.mode is off")
    if arguments.json:
        print_json(rows if render is render_dcbx else [_differences(row) for row in rows])
    else:
        print(render(rows) if rows else "no dcbx\n", end="")
    return DONE


def _differences(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row.get(key) for key in ("interface", "differences", "nic-state")}
