"""`evbagent run`: sets up logging, runs the daemon, turns what stops it from starting into one line."""

import asyncio
import gc
import logging
import os
import sys
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

from evbagent.config import ConfigError, check_glob
from evbagent.daemon import Daemon
from evbagent.loglimit import LineLimit
from evbagent.netlink import NetlinkError
from evbagent.options import Options
from evbagent.state import StateError
from protocols.lldp.tlvs import printable

STARTED, FAILED = 0, 1
ALLOCATIONS_PER_COLLECTION = 2_000


def run(
    config: Path | None,
    state_dir: Path,
    interfaces: tuple[str, ...] | None,
    role: str | None,
    record: Path | None = None,
    observe: bool = False,
    verbose: bool = False,
) -> int:
    """Run the agent until it is told to stop; the exit status."""
    log_limit = _log_to_stderr(verbose)
    _allow_open_files()
    try:
        for glob in interfaces or ():
            check_glob(glob, "--interface")
        asyncio.run(_serve(Options(config, state_dir, interfaces, role, record, observe, log_limit)))
    except (ConfigError, StateError, NetlinkError) as error:
        return _complain(str(error))
    except PermissionError as error:
        return _complain(
            f"no permission ({error.strerror}): the agent needs CAP_NET_RAW, and CAP_NET_ADMIN unless it only observes"
        )
    except OSError as error:
        return _complain(f"cannot start: {error}")
    return STARTED


async def _serve(options: Options) -> None:
    daemon = Daemon(options)
    # What the imports made stays for the life of the process: no collection needs to look at it again.
    gc.freeze()
    # What VSIs are made of lives long, and is looked at at each collection. Fewer still, and what bad frames leave
    # behind takes megabytes before it is collected.
    gc.set_threshold(ALLOCATIONS_PER_COLLECTION)
    gc.enable()
    await daemon.run()


def _allow_open_files() -> None:
    """As many as we may have: each uplink takes a descriptor, and so does each client that watches."""
    _, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (hard, hard))


def _log_to_stderr(verbose: bool) -> LineLimit:
    """Plain lines; under systemd with the priority prefix that journald understands, which adds the time itself."""
    # Nothing of this is in our lines, and each would pay for it (the logging howto, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(_PlainFormatter("%(asctime)s %(levelname).1s %(message)s"))
    limit = LineLimit()
    handler.addFilter(limit)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    return limit


class _PlainFormatter(logging.Formatter):
    """Whatever a terminal could take as a command is spelled out: an interface's name, too, may hold such."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


class _JournalFormatter(_PlainFormatter):
    """syslog priorities as sd-daemon(3) has them."""

    def format(self, record: logging.LogRecord) -> str:
        priority = 3 if record.levelno >= logging.ERROR else 4 if record.levelno >= logging.WARNING else 6
        return f"<{priority}>" + super().format(record).replace("\n", f"\n<{priority}>")


def _complain(text: str) -> int:
    print(f"evbagent: {text}", file=sys.stderr)
    return FAILED
