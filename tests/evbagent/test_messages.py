"""Which requests are taken, and what is said about the others."""

from pathlib import Path
from typing import Any

import pytest

from evbagent.messages import (
    MAX_SOCKET_PATH,
    BadRequest,
    check_id,
    check_request,
    check_socket_path,
    socket_path,
)

WAIT = {"v": 1, "op": "wait", "interface": "eth0", "for": "neighbor"}


@pytest.mark.parametrize("operation", ["ping", "watch"])
def test_plain_operations_need_nothing_else(operation: str) -> None:
    assert check_request({"v": 1, "op": operation}) == {"v": 1, "op": operation}


@pytest.mark.parametrize(
    "named",
    [{"interface": "eth*"}, {"instance": "x"}, {"interface": "eth0", "instance": "x", "all": False}, {"all": True}],
)
def test_a_switch_deassociates_what_is_named(named: dict[str, Any]) -> None:
    request = {"v": 1, "op": "switch-deassociate", **named}
    assert check_request(request) == request


@pytest.mark.parametrize("timeout", [None, 0, 0.5, 3600, 1e9])
def test_a_wait_may_have_a_timeout(timeout: float | None) -> None:
    assert check_request({**WAIT, "timeout": timeout})["timeout"] == timeout


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        ({}, "v:"),
        ({"v": True, "op": "ping"}, "v:"),
        ({"v": "1", "op": "ping"}, "v:"),
        ({"v": 2, "op": "ping"}, "version 1, not 2"),
        ({"v": 1}, "op:"),
        ({"v": 1, "op": {}}, "op:"),
        ({"v": 1, "op": "x" * 10_000}, "op:"),
        ({"v": 1, "op": "show"}, "what:"),
        ({"v": 1, "op": "show", "what": "passwords"}, "what:"),
        ({"v": 1, "op": "watch", "interface": ""}, "interface:"),
        ({"v": 1, "op": "watch", "interface": ["eth0"]}, "interface:"),
        ({"v": 1, "op": "vsi"}, "interface:"),
        ({"v": 1, "op": "vsi", "interface": 2}, "interface:"),
        ({"v": 1, "op": "switch-deassociate"}, "all:"),
        ({"v": 1, "op": "switch-deassociate", "all": False}, "all:"),
        ({"v": 1, "op": "switch-deassociate", "all": "yes"}, "all:"),
        ({"v": 1, "op": "switch-deassociate", "instance": ""}, "instance:"),
        ({"v": 1, "op": "switch-deassociate", "instance": 5, "all": True}, "instance:"),
        ({"v": 1, "op": "switch-deassociate", "interface": 5, "all": True}, "interface:"),
        ({"v": 1, "op": "dcbx", "action": "apply"}, "interface:"),
        ({"v": 1, "op": "dcbx", "interface": "eth0"}, "action:"),
        ({"v": 1, "op": "dcbx", "interface": "eth0", "action": ["apply"]}, "action:"),
        ({"v": 1, "op": "dcbx", "interface": "eth0", "action": "write"}, "none of apply, restore"),
        ({**WAIT, "interface": None}, "interface:"),
        ({**WAIT, "for": None}, "for:"),
        ({**WAIT, "timeout": float("nan")}, "timeout:"),
        ({**WAIT, "timeout": float("inf")}, "timeout:"),
        ({**WAIT, "timeout": 10**30}, "timeout:"),
        ({**WAIT, "timeout": False}, "timeout:"),
    ],
)
def test_what_is_wrong_is_named_in_short(request_: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_request(request_)
    assert named in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [None, 0, -5, 2**63 - 1, "", "seven", "x" * 64])
def test_an_id_goes_back_as_it_came(value: int | str | None) -> None:
    assert check_id({"id": value}) == value


@pytest.mark.parametrize("value", [True, 2**63, 1.5, [1], {}, "x" * 65])
def test_an_id_that_could_not_go_back_is_refused(value: object) -> None:
    with pytest.raises(BadRequest, match="id:"):
        check_id({"id": value})


@pytest.mark.parametrize("document", [None, 1, "ping", [], True])
def test_only_an_object_is_a_request(document: object) -> None:
    with pytest.raises(BadRequest, match="object"):
        check_id(document)


def test_a_socket_path_has_its_limit_in_octets() -> None:
    fits = Path("/" + "d" * (MAX_SOCKET_PATH - 1))
    check_socket_path(fits)
    for too_long in (fits.with_name(fits.name + "d"), Path("/" + "\N{SNOWMAN}" * 40)):
        with pytest.raises(OSError, match="longer than the 107 octets"):
            check_socket_path(too_long)
    assert socket_path(Path("/run/evbagent")) == Path("/run/evbagent/control.sock")
