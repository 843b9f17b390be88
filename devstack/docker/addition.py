"""Building an image upon another one without a Dockerfile.

The engine's two builders differ in how a build gets proxies, certificates and secrets, and what
Docker's classic builder gets stays in the image. So nothing is fetched in here: files that this
machine has fetched are copied into a container without a network, and the container is committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from devstack.docker.client import OWNER_LABEL
from devstack.docker.errors import command_failed
from devstack.process import Runner

BLOCK = 1 << 20


class ImageAddition:
    """Builds one image upon another one.

    Args:
        runner: starts Docker.
        container: the name of the container; one process at a time may use it.
        owner: the owner of the container.
    """

    def __init__(self, runner: Runner, container: str, owner: str) -> None:
        self._runner = runner
        self._container = container
        self._owner = owner

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
        create = ["docker", "create", "--name", self._container, "--network", "none"]
        create += ["--label", f"{OWNER_LABEL}={self._owner}", "--user", "0:0"]
        create += ["--workdir", "/", "--entrypoint", "bash", base, "-euc", script]
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
