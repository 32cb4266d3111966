"""The one exception that input from a peer can cause."""


class DecodeError(ValueError):
    """Octets that are not what they claim to be. `offset` counts from the start of what was being decoded."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset
