"""Documents of libvirt for tests, and a state file about some uplinks, written by the agent's own writer."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from evbagent.state import StateWriter
from evbagent.statefile import boottime

OLD = timedelta(minutes=1)

# What must not be touched is all around the modes: comments and CDATA that look like them, both kinds of quotes, line
# breaks in tags, character references, empty and long elements, another namespace, elements named alike elsewhere.
DOMAIN = """\
<?xml version="1.0" encoding='utf-8' ?>
<!-- <source dev='eth0' mode='auto'/> Übersicht -->
<domain type='kvm' xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
  <name>grün</name>
  <metadata><devices><interface type='direct'><source dev='eth0' mode='auto'/></interface></devices>
    <note><![CDATA[<source mode='auto'/> & <]]></note></metadata>
\t<devices   >
    <interface type='direct'><!-- mode='auto' -->
      <mac address='52:54:00:11:22:33'/>
      <source dev='eth0' mode='auto'/>
      <model type='virtio'/>
    </interface>
    <interface
        type = "direct" >
      <source
          mode\t=  "VEPA"
          dev="eth1" ></source  >
      <mac address="52:54:00:11:22:34" />
    </interface>
    <interface type='direct'><source mode='&#97;ll' dev='eth&#50;'/></interface>
    <interface type='network'><source network='default'/></interface>
    <interface type='direct'><source dev='eth3' mode='passthrough'/></interface>
    <interface type='hostdev'><source><address type='pci' slot='0x10'/></source></interface>
    <hostdev mode='subsystem' type='pci'><source mode='auto'/></hostdev>
    <x source="> mode='auto'"/>
  </devices>
  <qemu:commandline><qemu:arg value='-newarg'/></qemu:commandline>
</domain>
<!-- the end -->
"""

NETWORK = """\
<network>
  <name>pool</name>
  <forward dev='eth0' mode='auto'>
    <interface dev='eth0'/>
    <interface dev='eth1'/>
  </forward>
</network>
"""


def domain(
    source: str, type: str = "direct", name: str = "guest0", inside: str = "", mac: str = "52:54:00:11:22:33"
) -> str:
    """A small guest that QEMU can run, with this `<source>`, and what else its interface has."""
    return f"""\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type='{type}'>
      <mac address='{mac}'/>
      {source}
      <model type='virtio'/>
    </interface>
  </devices>
{inside}</domain>
"""


class Teller:
    """The state file of an agent that lives until `stop()`; `start()` needs a running event loop."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._uplinks: dict[str, Any] = {}
        self._writer = StateWriter(directory, lambda: {"uplinks": list(self._uplinks.values())}, boottime)

    async def start(self) -> None:
        self._writer.open()
        self._writer.write()

    def stop(self) -> None:
        self._writer.close()

    def say(self, age: timedelta = OLD, **relays: str) -> None:
        """`say(eth0="active", eth1="inactive")`: what the agent knows of these uplinks since then."""
        for index, (name, relay) in enumerate(relays.items(), 2):
            self._uplinks[name] = {
                "name": name,
                "ifindex": index,
                "forwarding": {
                    "mode": "vepa" if relay == "active" else "veb",
                    "reflective-relay": relay,
                    "reason": f"the relay of {name} is {relay}",
                    "since-boottime-us": boottime() - round(age.total_seconds() * 1e6),
                },
            }
        self._writer.write()
