"""ArtifactCache: artifacts are built once per inputs, completely or not at all."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from devstack.images.artifact_cache import TOOLS, ArtifactCache, digest
from devstack.parallel import Background
from devstack.pidfile import write_pidfile
from tests.fakes.runner import Recorder


def test_the_key_follows_texts_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "main.go").write_text("package main")
    first = digest("v1", folder)
    assert digest("v1", folder) == first
    assert digest("v2", folder) != first
    (folder / "main.go").write_text("package other")
    assert digest("v1", folder) != first


def test_the_key_depends_on_the_boundaries_of_inputs() -> None:
    assert digest("ab", "c") != digest("a", "bc")


def test_the_key_ignores_the_path_of_the_checkout(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "src").mkdir(parents=True)
        (tmp_path / name / "src" / "go.mod").write_text("module x")
    assert digest(tmp_path / "one" / "src") == digest(tmp_path / "two" / "src")


def test_an_artifact_is_built_once(tmp_path: Path) -> None:
    cache, built = ArtifactCache(tmp_path), []

    def build(path: Path) -> None:
        built.append(path)
        path.write_text("content")

    first = cache.make("kubelet", "k1", build)
    assert cache.make("kubelet", "k1", build) == first
    assert first.read_text() == "content"
    assert len(built) == 1


def test_an_interrupted_build_leaves_no_artifact_and_the_next_one_starts_clean(
    tmp_path: Path,
) -> None:
    cache = ArtifactCache(tmp_path)

    def killed(path: Path) -> None:
        path.mkdir()
        (path / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.make("rootfs", "k1", killed)
    assert not cache.have("rootfs", "k1")
    made = cache.make("rootfs", "k1", lambda path: path.mkdir())
    assert list(made.iterdir()) == []


def test_a_new_key_replaces_the_artifact_of_the_old_one(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    old = cache.make("etcd", "k1", lambda path: path.write_text("1") and None)
    cache.make("etcd", "k2", lambda path: path.write_text("2") and None)
    assert not old.exists()
    assert cache.have("etcd", "k2")


def test_scratch_is_empty_even_after_a_kill(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    left = tmp_path / "scratch" / "node" / "left.tar"
    left.parent.mkdir(parents=True)
    left.write_text("of a process that was killed")
    with cache.scratch("node") as folder:
        assert list(folder.iterdir()) == []
    assert not folder.exists()


def test_a_second_build_waits_for_the_first_and_notes_it(tmp_path: Path) -> None:
    progress, noted = Recorder(), threading.Event()

    class Waiter(Recorder):
        def note(self, text: str) -> None:
            progress.note(text)
            noted.set()

    def second() -> None:
        with ArtifactCache(tmp_path).lock(Waiter()):
            progress.note("got it")

    with ArtifactCache(tmp_path).lock(Recorder()):
        thread = threading.Thread(target=second)
        thread.start()
        assert noted.wait(10)
        assert ("note", "got it") not in progress.events
    thread.join(10)
    assert progress.events[-1] == ("note", "got it")
    assert progress.events[0] == ("note", "waiting for another build of this command")


def test_waiting_for_another_build_can_be_interrupted_in_a_thread(tmp_path: Path) -> None:
    """No signal reaches a thread that the kernel blocks."""
    noted = threading.Event()

    class Waiter(Recorder):
        def note(self, text: str) -> None:
            super().note(text)
            noted.set()

    progress = Waiter()

    def wait() -> None:
        with ArtifactCache(tmp_path).lock(progress):
            pass

    with ArtifactCache(tmp_path).lock(Recorder()):
        (tmp_path / "build.lock").write_text("1")
        background = Background(wait)
        assert noted.wait(10)
        background.cancel()
        assert background.ended
    assert progress.events == [("note", "waiting for the build of process 1")]


def test_the_lock_of_a_dead_process_is_released(tmp_path: Path) -> None:
    with (tmp_path / "build.lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
    with ArtifactCache(tmp_path).lock(Recorder()):
        pass


def test_artifacts_of_release_0_1_are_used(tmp_path: Path) -> None:
    former = tmp_path / "pieces" / "etcd" / "k1"
    former.parent.mkdir(parents=True)
    former.write_text("etcd")
    cache = ArtifactCache(tmp_path)
    with cache.lock(Recorder()):
        assert cache.path("etcd", "k1").read_text() == "etcd"


@pytest.mark.parametrize("tool", TOOLS)
def test_a_process_that_outlived_a_killed_build_is_ended_by_the_next(
    tmp_path: Path, tool: str
) -> None:
    cache = ArtifactCache(tmp_path)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        write_pidfile(cache.pidfile(tool), process.pid)
        with cache.lock(Recorder()):
            assert process.wait(10) == -signal.SIGKILL
    assert not cache.pidfile(tool).exists()
