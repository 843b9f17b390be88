"""The lessons of docs/lessons, as a reader does them: each command prints what the lesson says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.commandline import Devstack
from tests.support.lessons import FOLDER, LESSONS, run_lesson

Lessons = Callable[[Path], None]

TIMEOUTS = FOLDER / "timeouts.md"
"""Waits for a minute."""

EXCLUSIVE = [FOLDER / "quotas.md", FOLDER / "spot-and-retries.md"]
"""Change what all pods of the stack may have."""

SHARED = [path for path in LESSONS if path not in (TIMEOUTS, *EXCLUSIVE)]


@pytest.fixture(scope="module")
def do_lesson(stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    """A function that does what a lesson says, in a folder of its own."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(lesson: Path) -> None:
        folder = tmp_path_factory.mktemp(lesson.stem)
        try:
            run_lesson(lesson.read_text(), folder, {**stack.environment, "PATH": path})
        except BaseException:
            remove_what_it_made(stack, folder)
            raise

    return run


def remove_what_it_made(stack: Devstack, folder: Path) -> None:
    """Remove what a lesson that failed leaves on the stack, which later tests use.

    A quota, a network policy or a pool of a lesson would make them fail, too.
    """
    ignored = ["--ignore-not-found", "--wait=false"]
    for file in sorted(folder.glob("*.yaml")):
        stack.admin_kubectl("delete", "-f", str(file), *ignored, check=False)
    # The label that `kubectl run` gives.
    stack.admin_kubectl("delete", "pods", "-n", "metaflow", "-l", "run", *ignored, check=False)
    of_lesson = ["-n", "metaflow", "-l", f"lesson={folder.name.rstrip('0123456789')}"]
    stack.admin_kubectl("delete", "jobs", *of_lesson, *ignored, check=False)
    settings = folder / "devstack.toml"
    if settings.exists():
        settings.write_text("")
        stack.run("up", cwd=folder, check=False)


@pytest.fixture(scope="module")
def timeouts(do_lesson: Lessons) -> Iterator[Future[None]]:
    """The lesson on timeouts, running beside others."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit(do_lesson, TIMEOUTS)


@pytest.mark.usefixtures("timeouts")
@pytest.mark.parametrize("lesson", SHARED, ids=lambda path: path.stem)
def test_a_lesson_does_what_it_says(do_lesson: Lessons, lesson: Path) -> None:
    do_lesson(lesson)


def test_the_lesson_on_timeouts_does_what_it_says(timeouts: Future[None]) -> None:
    timeouts.result()


@pytest.mark.parametrize("lesson", EXCLUSIVE, ids=lambda path: path.stem)
def test_a_lesson_that_changes_the_stack_does_what_it_says(
    do_lesson: Lessons, lesson: Path
) -> None:
    do_lesson(lesson)
