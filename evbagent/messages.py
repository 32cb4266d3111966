"""The datagrams between the agent and its clients: JSON, version 1. Light: nothing but the standard library."""

from pathlib import Path
from typing import Any

VERSION = 1
SOCKET_NAME = "control.sock"
CHANGE_SOCKET_NAME = "change.sock"
"""Of the socket that only those may write to who may have the agent change something."""
INLINE_OCTETS = 8192
"""Of an answer in the reply itself; a longer one is read from the descriptor that comes with it, to the end."""
MAX_REQUEST_OCTETS = 16_384
MAX_MESSAGE_OCTETS = 1 << 16
"""Of a message on the stream of a VSI session, either way."""
MAX_UNANSWERED = 1 << 14
"""Requests of one VSI session; what is asked beyond is refused."""
MAX_SOCKET_PATH = 107

CHANGING = ("vsi", "switch-deassociate", "dcbx", "reload")
OPERATIONS = ("ping", "show", "watch", "wait", *CHANGING)
DCB_ACTIONS = ("apply", "restore")
SHOWN = ("neighbors", "interfaces", "evb", "vsis", "dcbx", "statistics", "config")


class BadRequest(ValueError):
    """A request that is not understood; the text names the field."""


def socket_path(state_dir: Path) -> Path:
    """Where the agent listens."""
    return state_dir / SOCKET_NAME


def check_socket_path(path: Path) -> None:
    """OSError when the path does not fit a UNIX address."""
    if len(str(path).encode(errors="surrogateescape")) > MAX_SOCKET_PATH:
        raise OSError(f"{path}: longer than the {MAX_SOCKET_PATH} octets of a UNIX socket address")


def check_id(document: Any) -> int | str | None:
    """The request's `id`, which goes back with the reply; BadRequest when there is none that could."""
    if not isinstance(document, dict):
        raise BadRequest("a request is a JSON object")
    value = document.get("id")
    match value:
        case None:
            return None
        case int() if not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63:
            return value
        case str() if len(value) <= 64:
            return value
    raise BadRequest("id: is a whole number of 64 bits, a text of up to 64 characters, or null")


def id_of(document: Any) -> int | str | None:
    """The same for who is answered in any case: None when there is no `id` that could go back."""
    try:
        return check_id(document)
    except BadRequest:
        return None


def check_request(request: dict[str, Any]) -> dict[str, Any]:
    """The request if it is one of ours; BadRequest names what is wrong with it."""
    version = request.get("v")
    if version != VERSION or isinstance(version, bool):
        raise BadRequest(f"v: this agent speaks version {VERSION}, not {version!r:.40}")
    operation = request.get("op")
    if operation not in OPERATIONS:
        raise BadRequest(f"op: {operation!r:.40} is none of {', '.join(OPERATIONS)}")
    _check_text(request, "interface", required=operation in ("wait", "vsi", "dcbx"))
    if operation == "show" and request.get("what") not in SHOWN:
        raise BadRequest(f"what: {request.get('what')!r:.40} is none of {', '.join(SHOWN)}")
    if operation == "wait":
        _check_text(request, "for", required=True)
        timeout = request.get("timeout")
        number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
        if timeout is not None and not (number and 0 <= timeout <= 1e9):
            raise BadRequest("timeout: is a number of seconds, or null")
    if operation == "dcbx" and request.get("action") not in DCB_ACTIONS:
        raise BadRequest(f"action: {request.get('action')!r:.40} is none of {', '.join(DCB_ACTIONS)}")
    if operation == "switch-deassociate":
        _check_withdrawal(request)
    return request


def _check_withdrawal(request: dict[str, Any]) -> None:
    """Not to name anything must not mean everything."""
    _check_text(request, "instance", required=False)
    everything = request.get("all")
    if everything is not None and not isinstance(everything, bool):
        raise BadRequest("all: is true, false or null")
    if not everything and request.get("interface") is None and request.get("instance") is None:
        raise BadRequest("all: has to be true when neither interface nor instance says which VSIs are meant")


def _check_text(request: dict[str, Any], key: str, required: bool) -> None:
    value = request.get(key)
    if value is None and not required:
        return
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        raise BadRequest(f"{key}: is a text of 1 to 255 characters")
