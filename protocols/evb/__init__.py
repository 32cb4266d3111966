"""Edge virtual bridging TLV of IEEE 802.1Qbg: negotiation of reflective relay, ratified and pre-standard."""
