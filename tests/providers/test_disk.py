"""A disk that is full before `up`, and one that fills up on its way."""

from __future__ import annotations

import os
import shlex

import pytest

from devstack.errors import ExitStatus
from tests.support.commandline import Devstack
from tests.support.refusal import findings, refused

PAGE = 4096


class _OnTinyDisk(Devstack):
    """devstack in a mount namespace of its own, where its home folder is a tiny disk."""

    free_bytes = 0

    def command(self, *argv: str) -> list[str]:
        private = ["unshare", "--mount", "--propagation", "private"]
        if os.geteuid() != 0:
            private.append("--map-root-user")
        disk = shlex.quote(str(self.home))
        steps = [
            f"mount -t tmpfs -o size=256k,mode=700 tmpfs {disk}",
            f"head -c {256 * 1024 - self.free_bytes} /dev/zero > {disk}/ballast",
            f"exec {shlex.join(super().command(*argv))}",
        ]
        return [*private, "sh", "-ec", "\n".join(steps)]


@pytest.fixture
def tiny(fresh: Devstack) -> _OnTinyDisk:
    fresh.home.mkdir(exist_ok=True)
    return _OnTinyDisk(fresh.name, fresh.home, {"HOME": fresh.environment["HOME"]})


@pytest.mark.parametrize("pages", [0, 1, 2, 3])
def test_a_full_disk_is_reported_at_any_step(tiny: _OnTinyDisk, pages: int) -> None:
    tiny.free_bytes = pages * PAGE
    refusal = refused(tiny, "up", code="DISK_FULL", status=ExitStatus.ENVIRONMENT)
    assert "No space left on device" in refusal.cause
    assert "DEVSTACK_HOME" in refusal.remedy


@pytest.mark.breaks("disk")
def test_the_doctor_names_a_full_disk(tiny: _OnTinyDisk) -> None:
    assert str(tiny.home) in findings(tiny)["DISK_FULL"]
