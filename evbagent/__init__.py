"""Agent for edge virtual bridging on Linux: LLDP, EVB and the forwarding of guest interfaces."""
