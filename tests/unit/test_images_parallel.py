"""Compiling in parallel to other steps: errors, interruption and the display."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.background_compiler import BackgroundCompiler
from devstack.images.golang import Compiler
from devstack.images.programs import PROGRAMS
from devstack.images.timed_progress import TimedProgress
from devstack.process import SubprocessRunner
from devstack.progress import step
from tests.fakes.runner import Call, FakeRunner, Recorder

CURL, MINIO = PROGRAMS["curl"], PROGRAMS["minio"]
GO = "/usr/bin/go"


def _go(runner: FakeRunner) -> None:
    runner.answer("go")
    runner.answer(GO, "version", stdout="go version go1.26.8 linux/amd64")


def _compile(call: Call) -> None:
    folder = Path(call.argv[call.argv.index("-o") + 1])
    for package in call.argv[call.argv.index("-o") + 2 :]:
        (folder / package.split("/")[-1]).write_text(package)


def test_a_program_is_available_as_soon_as_its_module_is_compiled(tmp_path: Path) -> None:
    runner, release = FakeRunner(), threading.Event()

    def compile_(call: Call) -> None:
        if call.argv[-1] == MINIO.package:
            assert release.wait(10)
        _compile(call)

    _go(runner)
    runner.answer(GO, "build", effect=compile_)
    cache = ArtifactCache(tmp_path)
    with BackgroundCompiler(Compiler(runner, Recorder(), cache), cache, (MINIO, CURL)) as compiler:
        assert compiler.wait(CURL).read_text() == CURL.package
        release.set()
        assert compiler.wait(MINIO).read_text() == MINIO.package


def test_a_program_that_does_not_compile_stops_the_build_at_its_next_step(tmp_path: Path) -> None:
    runner = FakeRunner()
    _go(runner)
    runner.answer(GO, "build", returncode=1, stderr="main.go:1: broken")
    cache = ArtifactCache(tmp_path)
    with BackgroundCompiler(Compiler(runner, Recorder(), cache), cache, (CURL,)) as compiler:
        with pytest.raises(DevstackError):
            compiler.wait(CURL)
        with pytest.raises(DevstackError) as caught:
            compiler.raise_error()
    assert caught.value.code == "COMPILE_FAILED"
    assert "broken" in caught.value.output


class _SlowGo(SubprocessRunner):
    """Go that compiles until it is ended."""

    def __init__(self, pid: Path) -> None:
        self._pid = pid

    def which(self, program: str) -> str:
        go = self._pid.with_name("go")
        go.write_text(
            f"#!{sys.executable}\nimport os, pathlib, sys, time\n"
            "if 'version' in sys.argv: sys.exit(print('go version go1.26.8 linux/amd64'))\n"
            f"pathlib.Path('{self._pid}.new').write_text(str(os.getpid()))\n"
            f"os.rename('{self._pid}.new', '{self._pid}')\n"
            "time.sleep(600)\n"
        )
        go.chmod(0o755)
        return str(go)


def _wait_for(path: Path) -> int:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())


@pytest.mark.parametrize("error", [KeyboardInterrupt, DevstackError])
def test_an_interruption_ends_go_and_starts_no_other_module(
    tmp_path: Path, error: type[BaseException]
) -> None:
    cache, recorder = ArtifactCache(tmp_path / "cache"), Recorder()
    compiler = Compiler(_SlowGo(tmp_path / "pid"), recorder, cache)

    def build() -> None:
        with BackgroundCompiler(compiler, cache, (CURL, MINIO)):
            _wait_for(tmp_path / "pid")
            raise error("interrupted")

    with pytest.raises(error):
        build()
    with pytest.raises(ProcessLookupError):
        os.kill(_wait_for(tmp_path / "pid"), signal.SIGTERM)
    assert [event for event in recorder.events if event[0] == "start"] == [
        ("start", f"Compile {CURL.title}")
    ]


def test_the_times_of_parallel_steps_are_recorded_apart() -> None:
    progress = TimedProgress(Recorder())
    compiling, installed = threading.Event(), threading.Event()

    def compile_(branch: TimedProgress) -> None:
        with step(branch, "Compile"):
            compiling.set()
            assert installed.wait(10)

    thread = threading.Thread(target=compile_, args=(progress.branch("Go"),))
    thread.start()
    assert compiling.wait(10)
    with step(progress, "Install"):
        pass
    installed.set()
    thread.join()
    install, compile_time = progress.times
    assert [install.title, compile_time.title] == ["Install", "Compile"]
    assert compile_time.seconds >= install.seconds
    assert compile_time.start <= install.start


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (["kind"], "kind"),
        (["kind", "pause", "crictl"], "crictl, pause, kind"),
        (["kind", "pause", "jobset", "crictl"], "crictl, pause and 2 more programs"),
        (["curl"], "the health check"),
    ],
)
def test_the_display_names_what_is_compiled(tmp_path: Path, names: list[str], title: str) -> None:
    runner, recorder = FakeRunner(), Recorder()
    _go(runner)
    runner.answer(GO, "build", effect=_compile)
    Compiler(runner, recorder, ArtifactCache(tmp_path)).ensure(PROGRAMS[name] for name in names)
    assert ("start", f"Compile {title}") in recorder.events
