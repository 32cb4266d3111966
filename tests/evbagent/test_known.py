"""What counts as recognized is what is read: held against the reader of `decode`, TLV by TLV."""

import pytest

from evbagent.tlvview import describe_tlv
from protocols.known import recognizes
from protocols.lldp.vendors import VENDORS

OUIS = sorted({"0080c2", "00120f", "0012bb", "001b21", "001b3f", "334455", *VENDORS})


@pytest.mark.parametrize("oui", OUIS)
def test_recognized_is_what_is_read(oui: str) -> None:
    """An empty body is read, or it is an error to have none; only what nobody reads is neither."""
    octets = bytes.fromhex(oui)
    for subtype in range(256):
        found = describe_tlv(127, octets + bytes([subtype]))
        assert recognizes(octets, subtype) == (found.value is not None or found.error is not None), found.name
