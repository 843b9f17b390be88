"""Building an image upon another one without a Dockerfile.

The engine's two builders differ in how a build gets proxies, certificates and secrets, and what
Docker's classic builder gets stays in the image. So nothing is fetched in here: files that this
machine has fetched are copied into a container without a network, and the container is committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from devstack.docker.errors import command_failed
from devstack.process import Runner

BLOCK = 1 << 20


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
        self, base: str, target: str, files: Path, script: str, settings: Sequence[str]
    ) -> None:
        """Add files to ``base`` and run a script there; the result is the image ``target``.

        Args:
            base: an image that the engine has, with bash.
            target: the name of the new image.
            files: a tar archive that is unpacked at /, as root.
            script: run by bash as root, without a network.
            settings: Dockerfile instructions for the new image's configuration.
        """
        # The image would keep labels and, unless it has one of its own, the entry point.
        create = ["docker", "create", "--name", self._container, "--network", "none"]
        create += ["--user", "0:0", "--workdir", "/"]
        if any(setting.startswith("ENTRYPOINT") for setting in settings):
            create += ["--entrypoint", "bash", base, "-euc", script]
        else:
            create += [base, "bash", "-euc", script]
        commit = ["docker", "commit"]
        for setting in settings:
            commit += ["--change", setting]
        self._remove()
        try:
            self._run(create)
            self._run(["docker", "cp", "-", f"{self._container}:/"], input=_blocks(files))
            self._run(["docker", "start", "--attach", self._container])
            self._run([*commit, self._container, target])
        finally:
            self._remove()

    def _remove(self) -> None:
        argv = ["docker", "rm", "--force", "--volumes", self._container]
        self._runner.run(argv, check=False)

    def _run(self, argv: Sequence[str], **options: Any) -> None:
        done = self._runner.run(argv, check=False, **options)
        if not done.ok:
            raise command_failed(done)


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            yield block
