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


# With more, `up` reaches the engine, which does not see the disk of this mount namespace.
@pytest.mark.parametrize("pages", [0, 1, 2])
def test_a_full_disk_is_reported_at_any_step(tiny: _OnTinyDisk, pages: int) -> None:
    tiny.free_bytes = pages * PAGE
    refusal = refused(tiny, "up", code="DISK_FULL", status=ExitStatus.ENVIRONMENT)
    assert "No space left on device" in refusal.cause
    assert "DEVSTACK_HOME" in refusal.remedy


@pytest.mark.breaks("disk")
def test_the_doctor_names_a_full_disk(tiny: _OnTinyDisk) -> None:
    checks = tiny.json("doctor", check=False)["data"]["checks"]
    # The disk of the cache may be full, too.
    causes = [each["cause"] for check in checks for each in check["findings"]]
    assert any("free in" in cause and str(tiny.home) in cause for cause in causes)


class _OnNoexecDisk(Devstack):
    """devstack in a mount namespace of its own, where no program on its cache's disk may run."""

    def command(self, *argv: str) -> list[str]:
        private = ["unshare", "--mount", "--propagation", "private"]
        if os.geteuid() != 0:
            private.append("--map-root-user")
        mount = f"mount -t tmpfs -o noexec,mode=700 tmpfs {shlex.quote(str(self.home))}"
        return [*private, "sh", "-ec", f"{mount}\nexec {shlex.join(super().command(*argv))}"]


@pytest.mark.breaks("disk")
def test_the_doctor_names_a_disk_on_which_no_program_runs(fresh: Devstack) -> None:
    fresh.home.mkdir(exist_ok=True)
    home = {"HOME": fresh.environment["HOME"], "DEVSTACK_CACHE": str(fresh.home / "cache")}
    found = findings(_OnNoexecDisk(fresh.name, fresh.home, home))
    assert "mounted noexec" in found["DISK_UNSUITABLE"]
