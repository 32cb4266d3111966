"""LLDP, IEEE 802.1AB: TLVs and the transmit and receive machines of one agent for each destination address."""
