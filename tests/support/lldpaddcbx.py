"""lldpad's DCBX, which it runs only over a NIC with DCB: settings by its tools, results by what it does to the NIC."""

from collections.abc import Iterable
from pathlib import Path

from tests.support.fakedcb import FakeDcb
from tests.support.namespaces import Namespace, wait_until
from tests.support.peers import Lldpad, LldpadPort

FORCE = {"cin": 5, "cee": 6}
LEGACY_TLVS = frozenset({0x001B2101, 0x001B2102})  # sent where lldpad is active in that dialect


class DcbxLldpad(Lldpad):
    """One that speaks DCBX in the nearest bridge scope on all its interfaces, each with a fake NIC.

    What it does, measured with 1.1+git20221028 and 1.2.99: IEEE TLVs go out with its first LLDPDU, 1 s after its start;
    ETS recommendation and applications only when `enableTx` is set for them. It writes to the NIC when it hears the
    peer's TLVs, or 15 s after the link came up. 1.1 ends with a segmentation fault, and does not become active in CEE
    and CIN (`dcbtool` says that its commands do not apply); 1.2.99 does.
    """

    def __init__(self, namespace: Namespace, directory: Path, nic: FakeDcb, interfaces: Iterable[str]) -> None:
        ports = {name: LldpadPort(scopes=frozenset({"nb"}), tlvs=LEGACY_TLVS) for name in interfaces}
        for name in ports:
            nic.add(name)
        super().__init__(namespace, directory, ports, nic.environment)

    def set(self, interface: str, tlv: str, *settings: str) -> None:
        """`set("veth1", "PFC", "willing=no", "enabled=3")`: one after the other, as it takes them."""
        for setting in settings:
            self.lldptool("-T", "-i", interface, "-V", tlv, setting)

    def force(self, dialect: str) -> None:
        """To be called before it is started: speak CEE or CIN alone."""
        text = f'dcbx : {{ version = "1.0"; dcbx_version = {FORCE[dialect]}; }};\n'
        self.config.write_text(self.config.read_text() + text)

    def set_feature(self, interface: str, feature: str, *settings: str) -> None:
        """dcbtool: `set_feature("veth1", "pfc", "e:1", "a:1", "w:0", "pfcup:00010000")`."""

        def done() -> bool:
            return (
                "Successful" in self.namespace.run(["dcbtool", "sc", interface, feature, *settings], check=False).stdout
            )

        wait_until(done, f"dcbtool sc {interface} {feature} {' '.join(settings)}")  # it finds its ports a second late

    def operational(self, interface: str, feature: str) -> dict[str, str]:
        """`dcbtool go`: what it has come to, by its titles ("Oper Mode": "true", "pfcup": "0 0 0 1 ...")."""
        found = {}
        for line in self.namespace.run(["dcbtool", "go", interface, feature]).stdout.splitlines():
            title, separator, value = line.partition(":")
            if separator:
                found[title.strip()] = " ".join(value.split())
        return found
