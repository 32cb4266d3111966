"""What a process has used."""

from pathlib import Path


def cpu_ns(process: int) -> int:
    """Time on a CPU so far, of all its threads and its children."""
    threads = Path(f"/proc/{process}/task").iterdir()
    own = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return own + sum(cpu_ns(int(child)) for child in children)


def resident(process: int) -> int:
    """KiB of a process and its children."""
    status = Path(f"/proc/{process}/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return own + sum(resident(int(child)) for child in children)
