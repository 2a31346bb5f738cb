"""Stepping into the Linux namespaces of another process, and giving up all rights there.

Source of the order and of the rules: setns(2), user_namespaces(7), ioctl_ns(2), capabilities(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_NS_GET_PARENT = 0xB702
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITY_SETS = 2 * 3 * 4
"""Bytes: effective, permitted and inheritable, in two halves of 32 bits; all zero is none."""
_EINVAL = 22

_KINDS = ("mnt", "pid", "ipc", "uts", "net", "cgroup")


def enter(pid: int) -> None:
    """Join every namespace of process `pid` that is not ours; children will be in its pid one too.

    We end at its root folder, with all rights in its user namespace: `renounce` them. The process
    must be ours, in user namespaces below our own, and we must have one thread. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    users = list(_user_namespaces(pid))
    others = [_opened(pid, kind) for kind in _KINDS if _is_other(pid, kind)]
    # A sandbox for another uid has two user namespaces, and the outer one owns all the rest.
    for descriptor in (*users[-1:], *others, *reversed(users[:-1])):
        if libc.setns(descriptor, 0):
            raise _error("setns")
    for descriptor in (*users, *others):
        os.close(descriptor)


def renounce() -> None:
    """Give up every capability, for good and for all children. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise _error("prctl")
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(64):
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            if ctypes.get_errno() == _EINVAL:
                break  # the kernel knows no more of them
            raise _error("prctl")
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if libc.capset(header, bytes(_CAPABILITY_SETS)):
        raise _error("capset")


def rehearse() -> None:
    """Use what `enter` and `renounce` use, to no effect.

    A process that was forked meets each page of it for the first time then, and not when somebody
    waits.
    """
    me = os.getpid()
    for kind in _KINDS:
        _is_other(me, kind)
    for descriptor in (*_user_namespaces(me), _opened(me, "mnt")):
        os.close(descriptor)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def _user_namespaces(pid: int) -> Iterator[int]:
    """From the process's own outwards to the one below ours."""
    ours = Path("/proc/self/ns/user").stat().st_ino
    if Path(f"/proc/{pid}/ns/user").stat().st_ino == ours:
        return
    found = _opened(pid, "user")
    while os.fstat(found).st_ino != ours:
        yield found
        found = fcntl.ioctl(found, _NS_GET_PARENT)
    os.close(found)


def _is_other(pid: int, kind: str) -> bool:
    theirs, ours = (Path(f"/proc/{each}/ns/{kind}").stat().st_ino for each in (pid, "self"))
    return theirs != ours


def _opened(pid: int, kind: str) -> int:
    return os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
