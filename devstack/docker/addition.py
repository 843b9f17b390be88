"""Building an image upon another one without a Dockerfile.

The engine's two builders differ in how a build gets proxies, certificates and secrets, and what
Docker's classic builder gets stays in the image. So nothing is fetched in here: files that this
machine has fetched are copied into a container without a network, and the container is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from devstack.docker.context import configuration_without_proxies
from devstack.docker.errors import command_failed, engine_missing
from devstack.docker.podman import engine_of
from devstack.process import ProgramMissingError, Runner

BLOCK = 1 << 20

Command = Callable[..., None]
"""Runs a ``docker`` command, with the options of `devstack.process.Runner.run`."""


class ImageAddition:
    """Builds one image upon another one.

    Args:
        runner: starts Docker.
        container: the name of the container; one process at a time may use it.
    """

    def __init__(self, runner: Runner, container: str) -> None:
        self._runner = runner
        self._container = container

    def build(
        self,
        base: str,
        target: str,
        files: Path,
        script: str,
        settings: Sequence[str],
        result: tuple[str, Path] | None = None,
    ) -> None:
        """Add files to ``base`` and run a script there; the result is the image ``target``.

        Args:
            base: an image that the engine has, with bash.
            target: the name of the new image.
            files: a tar archive that is unpacked at /, as root.
            script: run by bash as root, without a network.
            settings: Dockerfile instructions for the new image's configuration.
            result: a file that the script makes, and where to copy it; the script then runs once
                more, to remove it.
        """
        # The image would keep labels and, unless it has one of its own, the entry point.
        create = ["docker", "create", "--name", self._container, "--network", "none"]
        create += ["--user", "0:0", "--workdir", "/"]
        if any(setting.startswith("ENTRYPOINT") for setting in settings):
            create += ["--entrypoint", "bash", base, "-euc", script]
        else:
            create += [base, "bash", "-euc", script]

        def change(run: Command) -> None:
            run(create)
            run(["docker", "cp", "-", f"{self._container}:/"], input=_blocks(files))
            run(["docker", "start", "--attach", self._container])
            if result:
                run(["docker", "cp", f"{self._container}:{result[0]}", str(result[1])])
                run(["docker", "start", "--attach", self._container])

        commit_container(self._runner, self._container, change, target, settings)


def commit_container(
    runner: Runner,
    container: str,
    change: Callable[[Command], None],
    target: str,
    settings: Sequence[str],
) -> None:
    """Create a container, and commit its file system as an image; the container is removed.

    An image keeps the variables of its container, and the client adds the user's proxies to each
    container that it creates, with their passwords: see :func:`configuration_without_proxies`.

    Args:
        runner: starts Docker.
        container: the name of the container.
        change: creates the container, by commands that it passes to its argument.
        target: the name of the new image.
        settings: Dockerfile instructions for the new image's configuration.
    """
    commit = ["docker", "commit"]
    for setting in settings:
        commit += ["--change", setting]
    with configuration_without_proxies() as environment:

        def run(argv: Sequence[str], **options: Any) -> None:
            try:
                done = runner.run(argv, check=False, env=environment, **options)
            except ProgramMissingError as error:
                raise engine_missing(engine_of(runner), runner) from error
            if not done.ok:
                raise command_failed(done, engine_of(runner))

        remove = ["docker", "rm", "--force", "--volumes", container]
        runner.run(remove, check=False)
        try:
            change(run)
            run([*commit, container, target])
        finally:
            runner.run(remove, check=False)


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            yield block
