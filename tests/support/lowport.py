"""Run a program to which libnl gives netlink port ids below 2^31: lowport.py COMMAND...

libvirt 9.0 takes higher ones for errors, and then no 802.1Qbg request of it leaves the machine. libnl makes them of the
process id and of the time of day, so that hours are good and hours are bad. Here another process has the high ones.
"""

import ctypes
import os
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1
FIRST, AFTER_LAST = 512, 1024


def main() -> None:
    pid = os.getpid()
    reader, writer = os.pipe()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        taken = [
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) for _ in range(FIRST, AFTER_LAST)
        ]
        for number, one in enumerate(taken, FIRST):
            one.bind(((pid & 0x3FFFFF) + (number << 22), 0))
        os.write(writer, b"x")
        for descriptor in (0, 1, 2, reader, writer):
            os.close(descriptor)
        while True:
            signal.pause()
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
