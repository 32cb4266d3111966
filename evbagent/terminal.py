"""What all commands say alike. Light: they import it before they know what else they need."""

import errno
import os
import sys
from io import TextIOWrapper
from typing import Any

DONE, FAILED, USAGE, UNMET, UNANSWERED = 0, 1, 2, 3, 4
"""Exit statuses: 3 is a no from policy or switch, or a wait in vain; 4 is no answer from the switch."""
LONG_LIST = 100
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a full or broken disk says to who writes."""


def prepare_output() -> None:
    """Have everything that is said go where it belongs, whatever the caller has left us to say it on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed: Python would print errors among the output
            setattr(sys, name, open(os.devnull, "w"))
        # A terminal that is not UTF-8 gets names from the network spelled out, not an error.
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """For nobody who reads: what is still to be printed must not fail once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(data: Any) -> None:
    """For programs, and for people as far as they read so much: indenting a long list takes longer than getting it."""
    from json import dumps

    if isinstance(data, list) and len(data) > LONG_LIST:
        print("[\n" + ",\n".join(map(dumps, data)) + "\n]")
    else:
        print(dumps(data, indent=2))


def complain(text: str, status: int = FAILED) -> int:
    """Say on one line what is wrong, whoever the words in it come from."""
    from evbagent.show import escape

    print(f"evbagent: {escape(text)}", file=sys.stderr)
    return status
