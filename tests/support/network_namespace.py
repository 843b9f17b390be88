"""Functions of this process that run in another network namespace."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

CLONE_NEWNET = 0x40000000

T = TypeVar("T")


def enter_network(pid: int) -> None:
    """Move the calling thread, and no other, to the network namespace of a process."""
    # os.setns exists since Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the network of process {pid}")
    finally:
        os.close(descriptor)


def run_in_network(pid: int | None, function: Callable[[], T]) -> T:
    """Return what a function returns in the network namespace of a process.

    Args:
        pid: the process; None to call the function here.
        function: what to call; sockets that it opens stay in that network.
    """
    if pid is None:
        return function()
    with ThreadPoolExecutor(1, initializer=enter_network, initargs=(pid,)) as executor:
        return executor.submit(function).result()
