from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.process import (
    SubprocessRunner,
    end_group,
)

PYTHON = sys.executable
run = SubprocessRunner().run


def ignore(_line: str) -> None:
    pass


def has_ended(pid: int) -> bool:
    """Return True if the `sleep` of a test has ended; its process ID may be reused by then."""
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE or process.name() not in ("sh", "sleep")
    except psutil.NoSuchProcess:
        return True


def await_true(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)


def test_status_and_both_outputs_are_returned() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert not done.ok


def test_variables_are_set_on_top_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    assert run(["sh", "-c", "echo $OURS$THEIRS"], env={"THEIRS": "2"}).stdout == "12\n"


def test_output_may_be_binary() -> None:
    assert run(["sh", "-c", r"printf '\377'"]).stdout == "\ufffd"


def test_standard_input_of_a_program_is_never_ours() -> None:
    assert run(["cat"]).stdout == ""


def test_a_failed_program_shows_its_standard_error() -> None:
    with pytest.raises(DevstackError) as caught:
        run(["sh", "-c", "echo 'no such cluster' >&2; exit 7"])
    assert caught.value.code == "TOOL_FAILED"
    assert "status 7" in str(caught.value)
    assert caught.value.output_tail == ["no such cluster"]


def test_a_failed_program_without_standard_error_shows_its_standard_output() -> None:
    with pytest.raises(DevstackError) as caught:
        run(["sh", "-c", "echo 'said here'; exit 1"])
    assert caught.value.output_tail == ["said here"]


def test_a_missing_program_is_named() -> None:
    with pytest.raises(DevstackError) as caught:
        run(["no-such-program", "--flag"])
    assert caught.value.code == "TOOL_MISSING"
    assert "no-such-program" in caught.value.message
    assert caught.value.exit_status == ExitStatus.ENVIRONMENT


def test_a_missing_folder_is_not_reported_as_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(DevstackError) as caught:
        run(["true"], cwd=tmp_path / "nowhere")
    assert caught.value.code == "TOOL_UNUSABLE"
    assert "nowhere" in caught.value.cause


@pytest.mark.parametrize(("mode", "word"), [(0o644, "Permission"), (0o755, "Exec format")])
def test_a_file_that_is_not_a_program_is_unusable(tmp_path: Path, mode: int, word: str) -> None:
    program = tmp_path / "kind"
    program.write_bytes(b"\x00not for this machine")
    program.chmod(mode)
    with pytest.raises(DevstackError) as caught:
        run([str(program)])
    assert caught.value.code == "TOOL_UNUSABLE"
    assert word in caught.value.cause


@pytest.mark.parametrize("on_line", [None, ignore])
def test_a_timeout_ends_grandchildren_too(
    tmp_path: Path, on_line: Callable[[str], None] | None
) -> None:
    note = tmp_path / "grandchild"
    script = f"sleep 600 & echo $! > {note}.part; mv {note}.part {note}; wait"
    with pytest.raises(DevstackError) as caught:
        run(["sh", "-c", script], timeout=0.5, on_line=on_line)
    assert caught.value.code == "TOOL_TIMEOUT"
    assert caught.value.exit_status == ExitStatus.TIMEOUT
    await_true(lambda: has_ended(int(note.read_text())))


@pytest.mark.parametrize("on_line", [None, ignore])
def test_a_program_that_ignores_sigterm_is_killed(
    monkeypatch: pytest.MonkeyPatch, on_line: Callable[[str], None] | None
) -> None:
    monkeypatch.setattr("devstack.process.end_group", lambda process: end_group(process, 0.1))
    with pytest.raises(DevstackError, match="did not end"):
        run(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], timeout=0.3, on_line=on_line)


@pytest.mark.parametrize("on_line", [None, ignore])
def test_a_process_that_keeps_the_output_open_does_not_outlive_the_timeout(
    on_line: Callable[[str], None] | None,
) -> None:
    began = time.monotonic()
    with pytest.raises(DevstackError, match="did not end"):
        run(["sh", "-c", "sleep 600 & echo started"], timeout=0.3, on_line=on_line)
    assert time.monotonic() - began < 5


def test_an_interruption_ends_the_program(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def interrupt() -> None:
        await_true(lambda: note.exists() and note.read_text().endswith("\n"))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", f"echo $$ > {note}; exec sleep 600"])
    await_true(lambda: has_ended(int(note.read_text())))


def test_an_interruption_while_a_program_starts_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(["sleep", "600"])
    await_true(lambda: has_ended(started[0].pid))


def test_lines_are_reported_as_they_appear() -> None:
    lines: list[str] = []
    done = run(["sh", "-c", "echo one; echo; echo two"], on_line=lines.append)
    assert lines == ["one", "two"]
    assert done.stdout == "one\n\ntwo\n"


def test_much_input_and_output_at_once_does_not_deadlock() -> None:
    data = "x" * 99 + "\n"
    done = run(["cat"], input=data * 40_000, on_line=ignore, timeout=30)
    assert len(done.stdout) == 4_000_000


def test_a_program_that_writes_before_it_reads_does_not_deadlock() -> None:
    script = "import sys; print('y' * 1_000_000); print(len(sys.stdin.read()))"
    done = run([PYTHON, "-c", script], input="x" * 1_000_000, on_line=ignore, timeout=30)
    assert done.stdout.endswith("\n1000000\n")


@pytest.mark.parametrize("on_line", [None, ignore])
def test_a_program_may_end_without_reading_its_input(
    on_line: Callable[[str], None] | None,
) -> None:
    done = run(["sh", "-c", "exit 4"], input="x" * 1_000_000, on_line=on_line, check=False)
    assert done.returncode == 4


def test_a_program_that_never_reads_its_input_times_out() -> None:
    with pytest.raises(DevstackError, match="did not end"):
        run(["sleep", "600"], input="x" * 1_000_000, on_line=ignore, timeout=0.3)


def test_a_long_command_is_shortened_in_messages() -> None:
    with pytest.raises(DevstackError, match=r"`sh -c exit 1 a b c \.\.\.`"):
        run(["sh", "-c", "exit 1", "a", "b", "c", "d"])


def test_a_program_has_a_pidfile_only_while_it_runs(tmp_path: Path) -> None:
    pidfile = tmp_path / "kind.pid"
    done = run(["sh", "-c", f"sleep 0.05; stat -c %a {pidfile}"], pidfile=pidfile)
    assert done.stdout == "600\n"
    assert not pidfile.exists()
