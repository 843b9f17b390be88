from __future__ import annotations

import os
from pathlib import Path

import pytest

from devstack.flows.log import MAX_LOGS, new_log


def test_a_log_is_named_after_the_flow(tmp_path: Path) -> None:
    path = new_log(tmp_path / "logs", "hello")
    assert path.name.startswith("hello-")
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_oldest_logs_are_removed(tmp_path: Path) -> None:
    for number in range(MAX_LOGS + 3):
        log = tmp_path / f"{number:03}.log"
        log.touch()
        os.utime(log, (number, number))
    new_log(tmp_path, "hello").touch()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == MAX_LOGS
    assert left[0] == "004.log"


@pytest.mark.parametrize("name", ["x" * 250, "日" * 80, "x" + "é" * 120, "a\udc80" * 100])
def test_the_log_of_a_flow_with_a_long_name_can_be_created(tmp_path: Path, name: str) -> None:
    log = new_log(tmp_path, name)
    log.touch()
    assert log.name.startswith(name[:1])
