"""The first process of a pid namespace: starts what it reads, a shell's line each, and reaps whatever ends in there.

It ends with its input, and everything in the namespace with it: also daemons that nobody else would find.
"""

import signal
import subprocess
import sys


def keep() -> None:
    """Until the end of standard input."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    for line in sys.stdin:
        # What is started must not inherit that.
        words = ["env", "--default-signal=CHLD", "sh", "-c", line]
        subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)


if __name__ == "__main__":
    keep()
