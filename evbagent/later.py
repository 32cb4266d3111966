"""Modules that nobody has to wait for until the agent is ready."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evbagent.others import Surroundings


def load_the_rest() -> "Surroundings":
    """Load them right after that, and not when they are needed: the files may be another version's by then."""
    import evbagent.tlvview  # noqa: F401
    from evbagent.others import Surroundings

    return Surroundings()
