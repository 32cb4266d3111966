"""Who gets a core, on a machine that has fewer of them than a measurement has processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def served_first() -> Iterator[bool]:
    """This process, which waits for an answer, gets a core as soon as the answer is there; whether that could be had.

    Else it waits until an agent is done with what comes after its answer: a measurement of the machine, that has too
    few cores for two agents and their client. It must sleep, or finish soon, or the agents wait instead.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
