"""ECP, the Edge Control Protocol (802.1Q clause 43): one acknowledged PDU at a time."""
