"""What libvirt 9.0 says to the agent that its pid file names, octet by octet as it was recorded."""

import struct

OWNER = 0x40A0
UUID = bytes.fromhex("09b11c538b5c4eeb8f00d84eaa0aaa4f")
MAC = bytes.fromhex("525400112233")

SETLINK = bytes.fromhex(
    "9c000000 1300 0500 d1f60067 a0400000"  # length, RTM_SETLINK, REQUEST and ACK, sequence, port id for notifications
    "00000000 02000000 00000000 00000000"  # ifinfomsg, index 2
    "0a000300 76657468 30000000"  # IFLA_IFNAME veth0
    "40001680 3c000180"  # IFLA_VFINFO_LIST, IFLA_VF_INFO
    "28000100 ffffffff 525400112233 0000000000000000000000000000000000000000000000000000"  # IFLA_VF_MAC
    "10000200 ffffffff 00000000 00000000"  # IFLA_VF_VLAN
    "30001880 2c000180"  # IFLA_VF_PORTS, IFLA_VF_PORT
    "0c000300 0b 573412 02 000000"  # IFLA_PORT_VSI_TYPE
    "14000400 09b11c538b5c4eeb8f00d84eaa0aaa4f"  # IFLA_PORT_INSTANCE_UUID
    "05000600 02000000"  # IFLA_PORT_REQUEST, associate
)
GETLINK = bytes.fromhex("28000000 1200 0500 d2f60067 a0400000 00000000 02000000 00000000 00000000 08001d00 01000000")
ACCEPTED = bytes.fromhex("24000000 0200 0000 d1f60067 a0400000 00000000") + SETLINK[:16]
IN_PROGRESS = bytes.fromhex(
    "44000000 0300 0000 d2f60067 a0400000 00000000 02000000 00000000 00000000"
    "24001880 20000180 14000400 09b11c538b5c4eeb8f00d84eaa0aaa4f 08000100 ffffffff"
)
ANSWERED = bytes.fromhex(
    "4c000000 0300 0000 d2f60067 a0400000 00000000 02000000 00000000 00000000"
    "2c001880 28000180 14000400 09b11c538b5c4eeb8f00d84eaa0aaa4f 08000100 ffffffff 06000700 00000000"
)
# As vdptest has them: no ACK, no nested flag, ports before filters, the request before the type.
VDPTEST = bytes.fromhex(
    "9c000000 1300 0100 01000000 a0400000"
    "00000000 02000000 00000000 00000000"
    "0a000300 76657468 30000000"
    "30001800 2c000100"
    "05000600 02000000"
    "0c000300 0b 573412 02 000000"
    "14000400 09b11c538b5c4eeb8f00d84eaa0aaa4f"
    "40001600 3c000100"
    "10000200 ffffffff 00000000 00000000"
    "28000100 ffffffff 525400112233 0000000000000000000000000000000000000000000000000000"
)


def setlink(request: int = 2, uuid: bytes = UUID, owner: int = OWNER) -> bytes:
    """SETLINK of this request (0 PreAssociate, 2 Associate, 3 DisAssociate), this VSI and this libvirt."""
    message = bytearray(SETLINK.replace(UUID, uuid))
    message[-4] = request
    struct.pack_into("=I", message, 12, owner)
    return bytes(message)


def with_length(message: bytes) -> bytes:
    """The message with its header's length set right."""
    return struct.pack("=I", len(message)) + message[4:]
