"""What images need of Docker, through its client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.process import Completed, Runner
from devstack.progress import Progress

KEY_LABEL = "devstack.key"
"""On images that devstack built: the digest of what they were made from."""
OWNER_LABEL = "devstack.owner"
"""On the builder container: the artifact cache of the build."""


@dataclass(frozen=True)
class Present:
    """An image that Docker has.

    Attributes:
        key: the digest of what it was built from; empty if it was pulled.
        size: bytes.
    """

    key: str
    size: int


class Docker:
    """A Docker engine.

    Args:
        runner: starts the ``docker`` client.
        owner: identifies the artifact cache, so that builds of several users leave
            each other's builder container alone.
    """

    def __init__(self, runner: Runner, owner: str = "") -> None:
        self._runner = runner
        self._owner = owner
        self._builder = f"devstack-image-builder-{owner}"

    def look(self, references: Sequence[str]) -> dict[str, Present]:
        """Return the images of ``references`` that exist, with one command.

        Raises:
            DevstackError: ``DOCKER_UNUSABLE``.
        """
        done = self._runner.run(
            ["docker", "image", "inspect", "--format", "{{json .}}", *references],
            check=False,
            timeout=60,
        )
        _require_engine(done)
        found: dict[str, Present] = {}
        for line in done.stdout.splitlines():
            image = json.loads(line) if line.strip() else {}
            labels = (image.get("Config") or {}).get("Labels") or {}
            present = Present(labels.get(KEY_LABEL, ""), int(image.get("Size", 0)))
            found.update(dict.fromkeys(image.get("RepoTags") or [], present))
        return {reference: found[reference] for reference in references if reference in found}

    def load(self, archive: Path) -> None:
        """Load every image of an archive."""
        self._runner.run(["docker", "load", "--quiet", "--input", str(archive)])

    def save(self, archive: Path, references: Sequence[str]) -> None:
        """Write images into one archive, layers that they share once."""
        self._runner.run(["docker", "save", "--output", str(archive), *references])

    def pull(self, reference: str, progress: Progress, timeout: float) -> None:
        """Pull an image within ``timeout`` seconds."""
        self._runner.run(["docker", "pull", reference], timeout=timeout, on_line=progress.note)

    def tag(self, source: str, target: str) -> None:
        """Give an image another name."""
        self._runner.run(["docker", "tag", source, target])

    def remove(self, reference: str) -> None:
        """Remove a name of an image, if it exists and no container uses it."""
        self._runner.run(["docker", "rmi", reference], check=False)

    def build(self, dockerfile: str, target: str, files: Path, progress: Progress) -> None:
        """Build an image from a Dockerfile's text and a folder of files."""
        argv = ["docker", "build", "--tag", target, "--file", "-", str(files)]
        self._runner.run(argv, input=dockerfile, on_line=progress.note)

    def extract(self, image: str, script: str, into: Path) -> None:
        """Run a script in a throw-away container and keep what it writes to standard output."""
        self._remove_builder()
        mount = f"{into.parent}:/out"
        argv = [*self._run_builder(), "--volume", mount, "--entrypoint", "bash"]
        try:
            self._runner.run([*argv, image, "-euc", script, "bash", f"/out/{into.name}"])
        finally:
            self._remove_builder()

    def change(
        self, image: str, script: str, files: Path, target: str, settings: Sequence[str]
    ) -> None:
        """Run a script in a privileged container and keep its file system as an image.

        Args:
            image: what the container starts from.
            script: run by bash; ``files`` are below ``/files``.
            files: a folder on this machine.
            target: the reference of the new image.
            settings: Dockerfile instructions for the new image's configuration.
        """
        self._remove_builder()
        argv = [*self._run_builder(), "--privileged", "--network", "none"]
        argv += ["--volume", f"{files}:/files:ro", "--entrypoint", "bash"]
        commit = ["docker", "commit"]
        for setting in settings:
            commit += ["--change", setting]
        try:
            self._runner.run([*argv, image, "-euc", script])
            self._runner.run([*commit, self._builder, target])
        finally:
            self._remove_builder()

    def prune_unnamed(self) -> None:
        """Remove built images that lost their name to a newer one and that no container uses."""
        argv = ["docker", "image", "prune", "--force", "--filter", f"label={KEY_LABEL}"]
        self._runner.run(argv, check=False)

    def _run_builder(self) -> list[str]:
        label = f"{OWNER_LABEL}={self._owner}"
        return ["docker", "run", "--name", self._builder, "--label", label]

    def _remove_builder(self) -> None:
        argv = ["docker", "rm", "--force", "--volumes", self._builder]
        self._runner.run(argv, check=False)


def _require_engine(done: Completed) -> None:
    if done.ok or "no such" in done.stderr.lower():
        return
    raise DevstackError(
        "cannot look at Docker's images",
        cause="Docker does not answer",
        remedy="devstack doctor says why; on a Debian-family machine as root, "
        "./scripts/prepare-docker installs and starts it",
        code="DOCKER_UNUSABLE",
        exit_status=ExitStatus.ENVIRONMENT,
        output=done.stderr,
    )
