from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.migrations import STATE_VERSION
from devstack.parallel import in_parallel
from devstack.state import STATE_FILE, StackDir, StackState, stack_names

RELEASE_0_1 = Path(__file__).parent / "data" / "state-0.1"
"""The state directory of a stack that release 0.1 brought up; its secrets are replaced."""

HOLD = """
import sys
from pathlib import Path
from devstack.state import StackDir
with StackDir("demo", Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def stack(tmp_path: Path) -> StackDir:
    return StackDir("demo", tmp_path / "state")


@pytest.fixture
def holder(stack: StackDir) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(stack.path.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def locked(stack: StackDir) -> DevstackError | None:
    try:
        with stack.lock():
            return None
    except DevstackError as error:
        return error


def test_a_written_state_is_read_back(stack: StackDir) -> None:
    state = StackState(name="demo", provider="kind", ports={"minio": 9000}, phase="up")
    state.credential("minio")
    stack.write(state)
    assert stack.read() == state
    assert stack.exists()


def test_an_unchanged_state_is_not_written(stack: StackDir) -> None:
    stack.write(StackState(name="demo"))
    before = (stack.path / STATE_FILE).stat().st_ino
    stack.write(StackState(name="demo"))
    assert (stack.path / STATE_FILE).stat().st_ino == before


def test_a_missing_stack_is_no_error(stack: StackDir) -> None:
    assert stack.read() is None
    assert not stack.exists()
    stack.remove()


def test_a_credential_is_generated_once_and_is_unique() -> None:
    state = StackState(name="demo")
    first = state.credential("minio")
    assert len(first) >= 32
    assert state.credential("minio") == first
    assert state.credential("postgres") != first


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_private_regardless_of_the_umask(stack: StackDir, umask: int) -> None:
    before = os.umask(umask)
    try:
        stack.write(StackState(name="demo"))
        below = stack.write_file("metaflow/aws/config", "")
        with stack.lock():
            lock = next(stack.path.parent.glob(".demo.*"))
            assert mode(lock) == 0o600
    finally:
        os.umask(before)
    assert mode(stack.path / STATE_FILE) == mode(below) == 0o600
    assert mode(stack.path) == mode(stack.path.parent) == mode(below.parent) == 0o700


def test_a_folder_that_others_could_read_is_made_private(stack: StackDir) -> None:
    stack.path.mkdir(parents=True, mode=0o755)
    stack.write(StackState(name="demo"))
    assert mode(stack.path) == 0o700


def test_a_full_disk_keeps_the_old_file_intact(
    stack: StackDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.write(StackState(name="demo", phase="up"))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DevstackError) as caught:
        stack.write(StackState(name="demo", phase="deleting"))
    assert caught.value.code == "DISK_FULL"
    assert "No space left" in caught.value.cause
    assert stack.read() == StackState(name="demo", phase="up")
    assert [path.name for path in stack.path.iterdir()] == [STATE_FILE]


def test_a_folder_that_cannot_be_created_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    for attempt in (lambda s: s.write(StackState(name="demo")), lambda s: s.lock().__enter__()):
        with pytest.raises(DevstackError) as caught:
            attempt(StackDir("demo", tmp_path / "state"))
        assert caught.value.code == "STATE_UNWRITABLE"
        assert "DEVSTACK_HOME" in caught.value.remedy


def test_the_lock_is_held_although_the_disk_is_full(
    stack: StackDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with stack.lock():
        refused = locked(stack)
    assert refused is not None
    assert refused.cause == "another process holds the lock"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "[]",
        "null",
        "{}",
        '{"name": "demo", "ports": [1]}',
        '{"name": "demo", "ports": {"minio": "9000"}}',
        '{"name": "demo", "phase": "asleep"}',
        '{"name": "demo", "version": "1"}',
        '{"name": "demo", "version": -1}',
        '{"name": 3}',
        "\0",
        "\xff",
    ],
)
def test_a_corrupt_state_is_reported_with_the_remedy(stack: StackDir, text: str) -> None:
    stack.write_file(STATE_FILE, text)
    with pytest.raises(DevstackError) as caught:
        stack.read()
    assert caught.value.code == "STATE_BROKEN"
    assert "devstack down --name demo" in caught.value.remedy


def test_settings_that_this_release_does_not_know_are_ignored(stack: StackDir) -> None:
    stack.write_file(STATE_FILE, json.dumps({"name": "demo", "nodes": 2, "later": True}))
    assert stack.read() == StackState(name="demo", nodes=2, kubernetes="1.36")


def test_state_of_the_release_without_versions_is_read(tmp_path: Path) -> None:
    shutil.copytree(RELEASE_0_1, tmp_path, dirs_exist_ok=True)
    assert stack_names(tmp_path) == ["old"]
    old = StackDir("old", tmp_path)
    state = old.read()
    assert state is not None
    assert (state.version, state.phase, state.provider) == (STATE_VERSION, "up", "kind")
    # MinIO is set up again, because its policy has changed since.
    assert state.initialized_services[:2] == ["rbac", "postgres"]
    assert state.ports["minio"] == 9000
    assert state.credentials["minio-root"] == "dummy-minio-root-000000000000000"
    old.write(state)
    written = json.loads((old.path / STATE_FILE).read_text())
    assert written["version"] == STATE_VERSION
    assert "prepared" not in written
    assert old.read() == state


def test_a_stack_whose_data_the_previous_release_kept_is_read(stack: StackDir) -> None:
    stack.write_file(STATE_FILE, json.dumps({"name": "demo", "phase": "kept", "prepared": []}))
    assert stack.read() == StackState(name="demo", phase="retained", kubernetes="1.36")


def test_state_of_a_later_release_is_rejected_and_not_changed(stack: StackDir) -> None:
    text = json.dumps({"name": "demo", "version": STATE_VERSION + 1})
    stack.write_file(STATE_FILE, text)
    for read in (stack.read, stack.read_or_none):
        with pytest.raises(DevstackError) as caught:
            read()
        assert caught.value.code == "STATE_NEWER"
        assert f"version {STATE_VERSION + 1}" in caught.value.cause
        assert "upgrade devstack" in caught.value.remedy
    assert (stack.path / STATE_FILE).read_text() == text


def test_the_holder_of_the_lock_is_named(stack: StackDir, holder: subprocess.Popen[str]) -> None:
    refused = locked(stack)
    assert refused is not None
    assert refused.code == "LOCKED"
    assert str(holder.pid) in refused.cause
    assert stack.holder() == holder.pid


def test_kill_9_of_the_holder_frees_the_lock(
    stack: StackDir, holder: subprocess.Popen[str]
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert stack.holder() is None
    assert locked(stack) is None


def test_a_pid_that_another_process_got_after_kill_9_is_no_holder(stack: StackDir) -> None:
    """Only the lock tells whether a devstack is running; the PID may be any process's by now."""
    stack.write(StackState(name="demo"))
    with stack.lock():
        (lock,) = stack.path.parent.glob(".demo.lock")
        text = lock.read_text()
    lock.write_text(text)
    assert text == str(os.getpid())
    assert stack.holder() is None


def test_two_stacks_do_not_lock_each_other(stack: StackDir, holder: subprocess.Popen[str]) -> None:
    assert locked(StackDir("other", stack.path.parent)) is None


def test_a_released_lock_has_no_holder(stack: StackDir) -> None:
    stack.write(StackState(name="demo"))
    assert stack.holder() is None
    with stack.lock():
        assert stack.holder() == os.getpid()
    assert stack.holder() is None


def test_removing_a_stack_under_its_lock_leaves_nothing(stack: StackDir) -> None:
    stack.write(StackState(name="demo"))
    stack.write_file("metaflow/config_devstack.json", "{}")
    (stack.path / "link").symlink_to("metaflow")
    with stack.lock():
        stack.remove()
    assert list(stack.path.parent.iterdir()) == []


def test_an_interrupted_removal_keeps_the_state(
    stack: StackDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.write(StackState(name="demo", provider="context"))
    stack.write_file("metaflow/config_devstack.json", "{}")

    def refuse(_path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(DevstackError) as caught:
        stack.remove()
    assert caught.value.code == "STATE_UNWRITABLE"
    assert stack.read() is not None


def test_only_one_holds_the_lock_while_others_remove_the_stack(stack: StackDir) -> None:
    inside: list[int] = []
    overlaps: list[int] = []

    def up_and_down() -> None:
        for _ in range(150):
            try:
                with stack.lock():
                    inside.append(1)
                    overlaps.append(len(inside))
                    stack.write(StackState(name="demo"))
                    stack.remove()
                    inside.pop()
            except DevstackError as error:
                assert error.code == "LOCKED"  # noqa: PT017 - what else is a bug

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(up_and_down) for _ in range(4)]:
            each.result()
    assert set(overlaps) == {1}
    assert list(stack.path.parent.iterdir()) == []


def test_stacks_are_listed_by_name(tmp_path: Path) -> None:
    assert stack_names(tmp_path / "nowhere") == []
    for name in ("work", "ci"):
        StackDir(name, tmp_path).write(StackState(name=name))
    (tmp_path / "leftover").mkdir()
    assert stack_names(tmp_path) == ["ci", "work"]


def test_a_file_may_be_written_by_several_threads_at_once(tmp_path: Path) -> None:
    stack = StackDir("demo", tmp_path)
    in_parallel(lambda _: [stack.write_file("file", "text") for _ in range(20)], range(8))
    assert [file.name for file in stack.path.iterdir()] == ["file"]
