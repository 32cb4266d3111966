"""Run a program to which setgroups, setresuid and setresgid report success and do nothing.

For daemons that insist on becoming another user, inside a user namespace that has only one.
Usage: keep_ids.py COMMAND...
"""

import ctypes
import os
import platform
import struct
import sys

# setgroups, setresuid, setresgid (asm/unistd.h)
SYSTEM_CALLS = {"x86_64": (116, 117, 119), "aarch64": (159, 147, 149)}

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO_0 = 0x00050000
BPF_LD_W_ABS = 0x20
BPF_JEQ_K = 0x15
BPF_RET_K = 0x06


class SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def main() -> None:
    numbers = SYSTEM_CALLS.get(platform.machine())
    if numbers is None:
        sys.exit(f"keep_ids: system call numbers of {platform.machine()} are not known")
    code = struct.pack("HBBI", BPF_LD_W_ABS, 0, 0, 0)  # seccomp_data.nr
    for position, number in enumerate(numbers):
        code += struct.pack("HBBI", BPF_JEQ_K, len(numbers) - position, 0, number)
    code += struct.pack("HBBI", BPF_RET_K, 0, 0, SECCOMP_RET_ALLOW)
    code += struct.pack("HBBI", BPF_RET_K, 0, 0, SECCOMP_RET_ERRNO_0)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = SockFprog(len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*arguments) != 0:
            sys.exit(f"keep_ids: prctl: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
