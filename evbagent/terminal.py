"""What all commands say alike. Light: they import it before they know what else they need."""

import sys
from typing import Any

DONE, FAILED, USAGE, UNMET, UNANSWERED = 0, 1, 2, 3, 4
"""Exit statuses: 3 is a no from policy or switch, or a wait in vain; 4 is no answer from the switch."""
LONG_LIST = 100


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
