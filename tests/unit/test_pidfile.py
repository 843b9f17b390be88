from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devstack.pidfile import (
    kill_orphan,
    read_pidfile,
    recorded_process,
    terminate_recorded,
    write_pidfile,
)

Sleeper = subprocess.Popen[bytes]


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def pidfile(tmp_path: Path) -> Path:
    return tmp_path / "run" / "kind.pid"


def test_a_record_has_the_process_and_its_details(pidfile: Path, sleeper: Sleeper) -> None:
    write_pidfile(pidfile, sleeper.pid, port=9000)
    assert read_pidfile(pidfile)["port"] == 9000
    found = recorded_process(pidfile)
    assert found is not None
    assert found.pid == sleeper.pid
    assert pidfile.stat().st_mode & 0o777 == 0o600


def test_an_orphan_is_killed(pidfile: Path, sleeper: Sleeper) -> None:
    write_pidfile(pidfile, sleeper.pid)
    kill_orphan(pidfile)
    assert sleeper.wait(timeout=5) == -signal.SIGKILL
    assert not pidfile.exists()


def test_a_recorded_process_is_terminated(pidfile: Path, sleeper: Sleeper) -> None:
    write_pidfile(pidfile, sleeper.pid)
    assert terminate_recorded(pidfile)
    assert sleeper.poll() is not None
    assert not pidfile.exists()
    assert not terminate_recorded(pidfile)


@pytest.mark.parametrize("end", [kill_orphan, terminate_recorded])
def test_a_process_with_a_reused_pid_is_not_killed(
    pidfile: Path, sleeper: Sleeper, end: object
) -> None:
    assert callable(end)
    write_pidfile(pidfile, sleeper.pid)
    started = psutil.Process(sleeper.pid).create_time()
    pidfile.write_text(json.dumps({"pid": sleeper.pid, "started": started - 60}))
    end(pidfile)
    assert sleeper.poll() is None
    assert not pidfile.exists()


def test_an_ended_process_is_none(pidfile: Path, sleeper: Sleeper) -> None:
    write_pidfile(pidfile, sleeper.pid)
    sleeper.kill()
    # Not reaped yet, so a zombie.
    while psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert recorded_process(pidfile) is None
    sleeper.wait()
    assert recorded_process(pidfile) is None


@pytest.mark.parametrize("text", ["", "12", "no number", "[]", "{}", '{"pid": "1"}'])
def test_a_corrupt_record_is_removed(tmp_path: Path, text: str) -> None:
    pidfile = tmp_path / "kind.pid"
    pidfile.write_text(text)
    kill_orphan(pidfile)
    assert not pidfile.exists()


def test_no_record_means_no_orphan(pidfile: Path) -> None:
    kill_orphan(pidfile)
    assert recorded_process(pidfile) is None
