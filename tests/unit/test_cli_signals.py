"""Signals, and programs that replace the devstack process or run within it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.errors import DevstackError, ExitStatus
from tests.support.eventually import eventually

PROJECT = Path(__file__).parents[2]

INTERRUPTED = """
import sys, time
from devstack.cli import main
def slow(*_arguments, **options):
    options["obj"].command = "up"
    print("started", flush=True)
    time.sleep(60)
main.cli.main = slow
main.main()
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_prints_how_to_continue(sign: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(sign)
    _, err = process.communicate()
    assert process.returncode == ExitStatus.INTERRUPTED
    assert err == (
        "error: up was interrupted\n"
        "  next: `devstack up` continues; `devstack down` removes what exists\n"
        "  code: INTERRUPTED\n"
    )


IN_BACKGROUND = """
import signal, subprocess, sys
from devstack.cli import exec_command, main
SHOW = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT).name)"]
def command(*_arguments, **_options):
    subprocess.run(["sh", "-c", "kill -INT $PPID"], check=True)
    subprocess.run([sys.executable, "-c", "import signal; signal.raise_signal(signal.SIGINT)"])
    print("interrupted", flush=True)
    exec_command.exec_command(SHOW)
main.cli.main = command
main.main()
"""


def test_in_background_only_programs_that_devstack_starts_can_be_interrupted() -> None:
    """Neither devstack itself nor a program that replaces it, as the shell requested."""
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    done = subprocess.run(
        [*ignoring, sys.executable, "-c", IN_BACKGROUND], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["interrupted", "SIG_IGN"]
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


CAPTURED = """
import os, sys
from devstack.cli import exec_command, main
from devstack.cli.output import Output
def command(*_arguments, **_options):
    exec_command.capture_command(Output(), [sys.executable, "-c", sys.argv[1]], dict(os.environ))
main.cli.main = command
main.main()
"""

CLEANING_UP = """
import pathlib, time
folder = pathlib.Path({folder!r})
try:
    (folder / "started").touch()
    time.sleep(600)
except KeyboardInterrupt:
    (folder / "cleaned up").touch()
"""


def test_a_program_whose_output_is_captured_is_interrupted_with_devstack(tmp_path: Path) -> None:
    program = CLEANING_UP.format(folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", CAPTURED, program], stderr=subprocess.PIPE)
    eventually("the program to start", (tmp_path / "started").exists, interval=0.02)
    process.terminate()
    process.communicate()
    assert process.returncode == ExitStatus.INTERRUPTED
    assert (tmp_path / "cleaned up").exists()


def exec_command(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from devstack.cli import exec_command as m; m.exec_command(sys.argv[1:])",
            "sh",
            "-c",
            script,
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_status_of_the_replacing_program_is_kept() -> None:
    assert exec_command("exit 9").returncode == 9
    assert exec_command("kill -TERM $$").returncode == -signal.SIGTERM


def test_the_replacing_program_is_ended_by_sigpipe() -> None:
    done = exec_command("yes | head -1")
    assert (done.stdout, done.stderr) == ("y\n", "")


def test_a_replacing_program_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    from devstack.cli.exec_command import exec_command as become

    program = tmp_path / "tool"
    program.write_text("")
    with pytest.raises(DevstackError) as caught:
        become([str(program)])
    assert caught.value.code == "TOOL_UNUSABLE"
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN


def test_ctrl_c_in_code_run_by_exec_ends_with_the_same_status(tmp_path: Path) -> None:
    """Such as the text behind a dataclass, of which every lazy import runs some."""
    (tmp_path / "interrupted.py").write_text(
        "import sys\n"
        "from devstack.cli import main\n"
        "from devstack.cli.output import Output\n"
        "main.cli.main = lambda *_words, **_more: exec('raise KeyboardInterrupt')\n"
        "sys.exit(main.run(['up'], Output()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitStatus.INTERRUPTED, done.stderr


UNREAD = """
from devstack.cli import main
from devstack.cli.display import PlainDisplay
from pathlib import Path
import sys
def command(*_arguments, **_options):
    shown = PlainDisplay()
    for number in range(3):
        sys.stdin.readline()
        shown.line(f"line {number}")
        shown.warn(f"warning {number}")
    Path(sys.argv[1]).write_text("went on to the end")
    return 7
main.cli.main = command
main.main()
"""


@pytest.mark.parametrize("both", [False, True])
def test_a_run_goes_on_if_the_reader_of_its_output_exits(tmp_path: Path, both: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", UNREAD, str(tmp_path / "end")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if both else subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    process.stdin.write("\n\n")
    process.stdin.close()
    errors = process.stderr.read() if process.stderr else ""
    assert process.wait() == 7
    assert errors == ("" if both else "  ! warning 0\n  ! warning 1\n  ! warning 2\n")
    assert (tmp_path / "end").read_text() == "went on to the end"
