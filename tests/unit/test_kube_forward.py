from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devstack.errors import DevstackError
from devstack.kube.forward import Forward, is_forwarded, start_forward, stop_forwards
from devstack.ports import any_free
from devstack.waits import SystemClock

# A fake kubectl that listens on the port before the colon of its last argument.
LISTENING = """#!/usr/bin/env python3
import socket, sys
port = int(sys.argv[-1].split(":")[0])
with socket.create_server(("127.0.0.1", port)) as server:
    while True:
        server.accept()
"""
FAILING = """#!/bin/sh
echo "error: services \\"minio\\" not found" >&2
exit 1
"""


@pytest.fixture
def forward() -> Forward:
    return Forward("minio", any_free(set()), "devstack/minio:9000")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    stop_forwards(tmp_path)
    assert psutil.Process().children() == []


def program(folder: Path, text: str) -> str:
    path = folder / "kubectl"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def start(folder: Path, forward: Forward, text: str = LISTENING) -> None:
    start_forward(
        folder,
        forward,
        kubectl=program(folder, text),
        kubeconfig=folder / "kubeconfig",
        clock=SystemClock(),
    )


def record(folder: Path) -> Path:
    return folder / "forwards" / "minio.json"


def test_the_command_names_loopback_and_the_service(tmp_path: Path, forward: Forward) -> None:
    argv = forward.argv("kubectl", tmp_path / "config")
    assert "--address=127.0.0.1" in argv
    assert "--namespace=devstack" in argv
    assert argv[-2:] == ["service/minio", f"{forward.host_port}:9000"]


def test_a_forward_listens_until_it_is_stopped(tmp_path: Path, forward: Forward) -> None:
    start(tmp_path, forward)
    assert is_forwarded(tmp_path, forward)
    assert stop_forwards(tmp_path) == ["minio"]
    assert not is_forwarded(tmp_path, forward)
    assert list((tmp_path / "forwards").iterdir()) == []


def test_starting_twice_keeps_the_first(tmp_path: Path, forward: Forward) -> None:
    start(tmp_path, forward)
    before = record(tmp_path).read_text()
    start(tmp_path, forward)
    assert record(tmp_path).read_text() == before


def test_a_forward_that_was_killed_is_started_again(tmp_path: Path, forward: Forward) -> None:
    start(tmp_path, forward)
    process = psutil.Process(json.loads(record(tmp_path).read_text())["pid"])
    process.kill()
    process.wait()
    assert not is_forwarded(tmp_path, forward)
    start(tmp_path, forward)
    assert is_forwarded(tmp_path, forward)


def test_a_forward_to_another_port_replaces_the_old_one(tmp_path: Path, forward: Forward) -> None:
    start(tmp_path, forward)
    other = Forward("minio", any_free({forward.host_port}), forward.target)
    start(tmp_path, other)
    assert is_forwarded(tmp_path, other)
    assert not is_forwarded(tmp_path, forward)


def test_a_process_with_a_reused_id_is_not_killed(tmp_path: Path, forward: Forward) -> None:
    start(tmp_path, forward)
    known = json.loads(record(tmp_path).read_text())
    stop_forwards(tmp_path)
    record(tmp_path).write_text(json.dumps(known | {"pid": os.getpid()}))
    assert stop_forwards(tmp_path) == []


def test_a_broken_record_is_removed(tmp_path: Path, forward: Forward) -> None:
    record(tmp_path).parent.mkdir()
    record(tmp_path).write_text("{")
    assert stop_forwards(tmp_path) == []
    assert not record(tmp_path).exists()


def test_a_forward_that_fails_shows_the_output_of_kubectl(tmp_path: Path, forward: Forward) -> None:
    with pytest.raises(DevstackError) as caught:
        start(tmp_path, forward, FAILING)
    assert caught.value.code == "FORWARD_FAILED"
    assert 'services "minio" not found' in caught.value.output


def test_a_missing_kubectl_is_named(tmp_path: Path, forward: Forward) -> None:
    with pytest.raises(DevstackError, match="no-such-kubectl is missing"):
        start_forward(
            tmp_path,
            forward,
            kubectl=str(tmp_path / "no-such-kubectl"),
            kubeconfig=tmp_path / "kubeconfig",
            clock=SystemClock(),
        )


def test_records_and_logs_are_private(tmp_path: Path, forward: Forward) -> None:
    start(tmp_path, forward)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in record(tmp_path).parent.iterdir()
    }
    assert modes == {"minio.json": 0o600, "minio.log": 0o600}
