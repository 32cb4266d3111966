"""`make lab-libvirt`: a guest of the real libvirt with evbagent in lldpad's place, told with its times.

In private network namespaces; nothing of the machine's own libvirt is touched. Exit status 0 when all came out as it
must. As root: libvirtd opens /dev/tapN.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.namespaces import NamespacesUnavailable, leave_host, wait_until
from tests.support.qbg import LLDPAD, NOBODY, OURS, REFUSED_TYPE, Host, guest, running
from tests.support.vdpdus import ASSOCIATE, DEASSOCIATE, PREASSOCIATE
from tests.support.vdptool import NOT_REPORTED, LibvirtMessages

NAMES = {LLDPAD: "lldpad as the switch", OURS: "evbagent as the switch", NOBODY: "no switch"}


def main() -> int:
    try:
        leave_host()
    except (NamespacesUnavailable, OSError) as error:
        print(f"lab-libvirt: {error}", file=sys.stderr)
        return 1
    story = Story()
    with TemporaryDirectory(prefix="evbagent-lab-") as directory:
        begun = time.monotonic()
        with running(Path(directory)) as host:
            print(f"libvirtd, evbagent and the switches run after {time.monotonic() - begun:.1f} s\n")
            for uplink in (LLDPAD, OURS):
                _with_a_switch(story, host, uplink)
            _without_a_guest(story, host)
    print("\nall as it must be" if story.ok else "\nNOT all as it must be")
    return 0 if story.ok else 1


class Story:
    """Prints each step with its time, and remembers whether all went well."""

    def __init__(self) -> None:
        self.ok = True

    @contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        """What is said in it stands behind the step's text; an assertion that fails is its failure."""
        begun = time.monotonic()
        said: list[str] = []
        result = "ok"
        try:
            yield said.append
        except (AssertionError, RuntimeError) as error:
            self.ok = False
            result = "FAILED"
            said.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
        detail = f": {'; '.join(said)}" if said else ""
        print(f"  {time.monotonic() - begun:5.2f} s  {result:6}  {text}{detail}", flush=True)


def _with_a_switch(story: Story, host: Host, uplink: str) -> None:
    print(NAMES[uplink])
    first, second = guest(1, uplink), guest(2, uplink)
    with story.step("virsh create") as say:
        [complaint] = host.create(first)
        assert not complaint, complaint
        say("running")
        host.wait_for(first, "associated")
        say("its VSI is associated")
    for time_in_words in ("takes the VSI away", "does so again"):
        with story.step(f"the switch {time_in_words}") as say:
            told = len(host.told())
            seconds = host.seconds_until_back(first)
            assert len(host.told()) == told + 1, "libvirt was not told"
            say(f"libvirt is told, associated again after {seconds * 1000:.0f} ms")
    with story.step("the agent is killed and started anew") as say:
        host.agent.kill()
        host.agent.start()
        host.wait_for(first, "associated")
        say("associated again, without libvirt's help")
    with story.step("libvirtd is killed and started anew") as say:
        host.libvirt.kill()
        host.libvirt.start()
        assert first.name in host.libvirt.guests(), "the guest is gone"
        seconds = host.seconds_until_back(first)
        say(f"the guest runs; taken away, it is back after {seconds * 1000:.0f} ms")
    with story.step("virsh create of a second guest") as say:
        [complaint] = host.create(second)
        assert not complaint, complaint
        host.wait_for(second, "associated")
    with story.step("virsh destroy of both") as say:
        host.destroy(first, second)
        host.wait_for(first, None)
        host.wait_for(second, None)
        say("both are de-associated")
    with story.step("a guest migrates to here, by libvirt's messages") as say:
        vsi = guest(3, uplink).vsi()
        with LibvirtMessages(host.namespace, uplink) as libvirt:
            for kind in (PREASSOCIATE, ASSOCIATE, DEASSOCIATE):
                assert libvirt.ask(vsi, kind) == 0, "refused"
                wait_until(lambda: libvirt.poll()[vsi.uuid] != NOT_REPORTED, "it is answered", 5, 0.125)
                assert libvirt.poll()[vsi.uuid] == 0, "refused"
        say("preassociated, associated, de-associated")


def _without_a_guest(story: Story, host: Host) -> None:
    for text, one in (
        ("the switch refuses: virsh create", guest(4, OURS, REFUSED_TYPE)),
        ("no switch at all: virsh create", guest(5, NOBODY)),
    ):
        with story.step(text) as say:
            [complaint] = host.create(one)
            assert complaint, "the guest was started"
            say(complaint.splitlines()[-1])
            assert host.macvtaps() == 0, "its device is left"
            host.wait_for(one, None)


if __name__ == "__main__":
    sys.exit(main())
