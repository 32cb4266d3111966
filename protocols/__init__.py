"""Protocols of edge virtual bridging without I/O: bytes, requests and time go in, effects come out."""
