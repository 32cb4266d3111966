"""A made-up machine: the files of /proc, /run and /etc that tell of programs beside the agent."""

from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

TITLES = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
DEV_TITLES = "Inter-|   Receive\n face |bytes    packets\n"


class Machine:
    """Everything is written under `root`, as it is asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._packet_sockets: dict[int, str] = {}
        self._received: dict[str, int] = {}

    def file(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def process(
        self,
        pid: int | str,
        comm: str,
        words: Sequence[str] = (),
        sockets: Sequence[int] = (),
        files: Sequence[str] = (),
    ) -> None:
        self.file(f"proc/{pid}/comm", f"{comm}\n")
        self.file(f"proc/{pid}/cmdline", "\0".join(words) + "\0")
        descriptors = self.root / "proc" / str(pid) / "fd"
        descriptors.mkdir()
        for number, target in enumerate([*files, *(f"socket:[{inode}]" for inode in sockets)]):
            (descriptors / str(number)).symlink_to(target)

    def remove(self, pid: int) -> None:
        rmtree(self.root / "proc" / str(pid))

    def packet_socket(self, inode: int, ethertype: int = 0x0003, ifindex: int = 2, user: int = 0) -> None:
        self._packet_sockets[inode] = (
            f"0000000000000000 3      3    {ethertype:04x}   {ifindex}     1 0      {user}      {inode}\n"
        )
        self._write_packet_sockets()

    def close_socket(self, inode: int) -> None:
        del self._packet_sockets[inode]
        self._write_packet_sockets()

    def unix_socket(self, path: str) -> None:
        self.file("proc/thread-self/net/unix", f"Num RefCount\n00: 00000002 00000000 00000000 0002 03 15 {path}\n")

    def received(self, name: str, packets: int) -> None:
        self._received[name] = packets
        lines = "".join(f"{name}: {100 * count} {count} 0 0\n" for name, count in self._received.items())
        self.file("proc/thread-self/net/dev", DEV_TITLES + lines)

    def users(self, **numbers: int) -> None:
        self.file("etc/passwd", "".join(f"{name}:x:{number}:0::/:/bin/sh\n" for name, number in numbers.items()))

    def _write_packet_sockets(self) -> None:
        self.file("proc/thread-self/net/packet", TITLES + "".join(self._packet_sockets.values()))
