"""The client of a Docker engine.

Containers, networks and volumes go through Docker's API, by the SDK; its import takes 0.2 s,
so it is imported when it is first used. Images go through the ``docker`` command, which needs no
import, except pulls: see :mod:`devstack.docker.registries`.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from devstack.docker.addition import commit_container
from devstack.docker.connection import connect
from devstack.docker.engine import Engine
from devstack.docker.errors import command_failed, engine_missing, translate_docker_errors
from devstack.docker.network import create_network
from devstack.docker.packing import pack_files
from devstack.docker.podman import engine_of
from devstack.docker.removal import remove_containers, remove_network
from devstack.errors import DevstackError, disk_full
from devstack.process import Completed, ProgramMissingError, Runner
from devstack.progress import Progress

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
"""kind puts this label on every node container."""
ROLE_LABEL = "io.x-k8s.kind.role"

KEY_LABEL = "devstack.key"
"""On images that devstack built: the digest of what they were made from."""
UPSTREAM_LABEL = "devstack.upstream"
"""On images built upon a pulled one: the pulled one's reference, with its digest if it is known."""
OWNER_LABEL = "devstack.owner"
"""On the builder container: the artifact cache of the build."""

INSPECT_TIMEOUT = 60.0

ABSENT = re.compile(r"no such|invalid reference format", re.IGNORECASE)
"""What `docker image inspect` says of names that no image has, or that no image can have."""

_FULL = "no space left on device"

_CTR = ("ctr", "--namespace", "k8s.io")

_PACKED = "/var/devstack-volumes.tar"
"""Where the folders of a container are packed, in the container."""


@dataclass(frozen=True)
class Present:
    """An image that Docker has.

    Attributes:
        key: the digest of what it was built from; empty if it was pulled.
        size: bytes.
        id: what `docker image ls` shows; another image of the same name has another.
        digests: the names with digests that the engine knows it by, as ``REPOSITORY@DIGEST``.
        upstream: the pulled image that it was built upon; empty if it was not.
    """

    key: str
    size: int
    id: str = ""
    digests: tuple[str, ...] = ()
    upstream: str = ""


class DockerClient:
    """A client of a Docker engine.

    All methods raise DevstackError with the codes of `devstack.docker.errors`.

    Args:
        runner: runs the ``docker`` command.
        owner: identifies the artifact cache, so that builds of several users leave
            each other's builder container alone.

    Attributes:
        engine: Docker, or Podman; see :class:`devstack.docker.podman_client.PodmanClient`.
    """

    def __init__(self, runner: Runner, owner: str = "") -> None:
        self._runner = runner
        self.engine: Engine = engine_of(runner)
        self._client: Any = None
        self._owner = owner
        self._builder = f"devstack-image-builder-{owner}"

    def require_usable(self) -> None:
        """Raise ``DOCKER_MISSING``, ``DOCKER_STOPPED`` or ``DOCKER_FORBIDDEN`` if one is true."""
        if self._runner.which("docker") is None:
            raise engine_missing(self.engine, self._runner)
        with translate_docker_errors(self.engine):
            self._connect().ping()

    def nodes(self, cluster: str) -> list[Any]:
        """Return the node containers of a kind cluster, the control plane's first."""
        with translate_docker_errors(self.engine):
            found = self._connect().containers.list(
                all=True,
                filters={"label": f"{CLUSTER_LABEL}={cluster}"},
                # The SDK inspects each of the list, and one may be removed by then.
                ignore_removed=True,
            )
        return sorted(found, key=lambda node: (node.labels.get(ROLE_LABEL, ""), node.name))

    def has_containers(self, label: str) -> bool:
        """Return True if there are containers, running or not, with a label ``name=value``."""
        with translate_docker_errors(self.engine):
            found = self._connect().containers.list(all=True, filters={"label": label}, sparse=True)
        return bool(found)

    def start(self, nodes: Iterable[Any]) -> None:
        """Start the containers that do not run; resume those that are paused."""
        with translate_docker_errors(self.engine):
            for node in nodes:
                if node.status == "paused":
                    node.unpause()
                elif node.status != "running":
                    node.start()

    def info(self) -> dict[str, Any]:
        """Return what `docker info` shows."""
        with translate_docker_errors(self.engine):
            return dict(self._connect().info())

    def version(self) -> dict[str, Any]:
        """Return what `docker version` shows of the engine."""
        with translate_docker_errors(self.engine):
            return dict(self._connect().version())

    def create(self, name: str, body: Mapping[str, Any], model: Any) -> Any:
        """Create a container like ``model`` by a request of `devstack.docker.similar`."""
        with translate_docker_errors(self.engine):
            client = self._connect()
            made = client.api.create_container_from_config(dict(body), name)
            return client.containers.get(made["Id"])

    def kill(self, node: Any) -> None:
        """End a container at once; Docker does not start it again by itself."""
        with translate_docker_errors(self.engine):
            if node.status == "running":
                node.kill()

    def set_cpu_shares(self, node: Any, shares: int) -> None:
        """Set a container's weight where CPUs are short; by default it is 1024."""
        with translate_docker_errors(self.engine):
            node.update(cpu_shares=shares)

    def address(self, node: Any, network: str) -> str:
        """Return a running container's IPv4 address in a network."""
        with translate_docker_errors(self.engine):
            node.reload()
        return str(node.attrs["NetworkSettings"]["Networks"][network]["IPAddress"])

    def put_files(self, node: Any, folder: str, files: Mapping[str, str]) -> None:
        """Write files of mode 0600 into a folder of a container, running or not."""
        with translate_docker_errors(self.engine):
            node.put_archive(folder, pack_files(files))

    def has_file(self, node: Any, path: str) -> bool:
        """Return True if a container, running or not, has a file."""
        import docker

        with translate_docker_errors(self.engine):
            try:
                node.get_archive(path)
            except docker.errors.NotFound:
                return False
        return True

    def run(self, node: Any, script: str, timeout: float) -> Completed:
        """Run a script by bash in a container; return the ended command, successful or not."""
        argv = ["docker", "exec", node.name, "bash", "-c", script]
        return self._run(argv, check=False, timeout=timeout)

    def execute(self, node: Any, argv: Sequence[str]) -> str:
        """Run a program in a container; return its output, empty if it failed."""
        done = self._execute(node, argv)
        return done.stdout if done.ok else ""

    def pack(self, node: Any, folders: Sequence[str], archive: Path) -> None:
        """Write folders of a container into an archive for :meth:`unpack`.

        Raises:
            DevstackError: ``VOLUME_UNREADABLE``.
        """
        names = [folder.lstrip("/") for folder in folders]
        self._require(node, ["tar", "-C", "/", "-cf", _PACKED, *names])
        with translate_docker_errors(self.engine), archive.open("wb") as file:
            chunks, _ = node.get_archive(_PACKED)
            for chunk in chunks:
                file.write(chunk)
        self._require(node, ["rm", _PACKED])

    def unpack(self, node: Any, archive: Path) -> None:
        """Extract an archive of :meth:`pack` in a container; files keep their owners.

        Raises:
            DevstackError: ``VOLUME_UNREADABLE``.
        """
        with translate_docker_errors(self.engine), archive.open("rb") as file:
            # Docker makes root the owner of all files, except within an archive inside it.
            node.put_archive(str(PurePosixPath(_PACKED).parent), file)
        self._require(node, ["tar", "-C", "/", "--numeric-owner", "-xpf", _PACKED])
        self._require(node, ["rm", _PACKED])

    def cluster_of(self, name: str) -> str:
        """Return the kind cluster that a container of this name belongs to; empty if to none."""
        import docker

        with translate_docker_errors(self.engine):
            try:
                found = self._connect().containers.get(name)
            except docker.errors.NotFound:
                return ""
        return str(found.labels.get(CLUSTER_LABEL, ""))

    def require(
        self, node: Any, argv: Sequence[str], message: str, code: str = "NODE_UNWRITABLE"
    ) -> None:
        """Run a program in a container; raise ``code`` with ``message`` if it fails."""
        done = self._execute(node, argv)
        if not done.ok:
            raise DevstackError(
                message,
                cause=f"{argv[0]} ended with status {done.returncode}",
                remedy=f"free space on {self.engine.title}'s disk and run the command again",
                code=code,
                output=done.stdout + done.stderr,
            )

    def _execute(self, node: Any, argv: Sequence[str]) -> Completed:
        with translate_docker_errors(self.engine):
            status, output = node.exec_run(list(argv))
        return Completed(tuple(argv), status, output.decode(errors="replace"), "")

    def _require(self, node: Any, argv: Sequence[str]) -> None:
        message = f"cannot copy the volumes of {node.name}"
        self.require(node, argv, message, "VOLUME_UNREADABLE")

    def remove(self, containers: Iterable[Any], labels: Mapping[str, str]) -> None:
        """Remove containers, running or not, and their anonymous volumes.

        Args:
            containers: the containers.
            labels: labels of a helper container, which names the owner of what it works on.
        """
        with translate_docker_errors(self.engine):
            remove_containers(self._connect(), containers, labels)

    def networks(self, name: str) -> list[Any]:
        """Return the networks of exactly this name."""
        with translate_docker_errors(self.engine):
            found = self._connect().networks.list(names=[name])
        # Docker returns all whose name contains it.
        return [network for network in found if network.name == name]

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a network like kind's, with labels."""
        with translate_docker_errors(self.engine):
            create_network(self._connect(), name, labels)

    def remove_networks(self, networks: Iterable[Any]) -> None:
        """Remove networks.

        Raises:
            DevstackError: ``WAIT_TIMEOUT`` if containers stay connected to one.
        """
        with translate_docker_errors(self.engine):
            for network in networks:
                remove_network(network)

    def claim_volume(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        """Create a volume unless there is one, atomically; return the labels that it has."""
        with translate_docker_errors(self.engine):
            volume = self._connect().volumes.create(name, labels=dict(labels))
        return dict(volume.attrs.get("Labels") or {})

    def volume_labels(self, name: str) -> dict[str, str] | None:
        """Return a volume's labels, or None if there is no such volume."""
        import docker

        with translate_docker_errors(self.engine):
            try:
                volume = self._connect().volumes.get(name)
            except docker.errors.NotFound:
                return None
        return dict(volume.attrs.get("Labels") or {})

    def remove_volume(self, name: str) -> None:
        """Remove a volume, if there is one."""
        import docker

        with translate_docker_errors(self.engine), suppress(docker.errors.NotFound):
            self._connect().volumes.get(name).remove()

    def inspect_images(self, references: Sequence[str]) -> dict[str, Present]:
        """Return those of ``references`` that Docker has, by one command."""
        argv = ["docker", "image", "inspect", "--format", "{{json .}}", "--", *references]
        done = self._run(argv, check=False, timeout=INSPECT_TIMEOUT)
        if not done.ok and not ABSENT.search(done.stderr):
            raise command_failed(done, self.engine)
        found: dict[str, Present] = {}
        for line in done.stdout.splitlines():
            image = json.loads(line) if line.strip() else {}
            labels = (image.get("Config") or {}).get("Labels") or {}
            present = Present(
                labels.get(KEY_LABEL, ""),
                int(image.get("Size", 0)),
                image.get("Id", ""),
                tuple(image.get("RepoDigests") or []),
                labels.get(UPSTREAM_LABEL, ""),
            )
            found.update(dict.fromkeys(image.get("RepoTags") or [], present))
        return {reference: found[reference] for reference in references if reference in found}

    def image_architecture(self, reference: str) -> str:
        """Return the processor that an image of the engine is for, as Go calls it."""
        argv = ["docker", "image", "inspect", "--format", "{{.Architecture}}", "--", reference]
        return self._run(argv, timeout=INSPECT_TIMEOUT).stdout.strip()

    def image_names(self) -> list[str]:
        """Return the names of all images, with their tags."""
        done = self._run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"])
        return [name for name in done.stdout.split() if "<none>" not in name]

    def load_images(self, archive: Path) -> None:
        """Load all images of an archive."""
        self._run(["docker", "load", "--quiet", "--input", str(archive)])

    def save_images(self, archive: Path, references: Sequence[str]) -> None:
        """Write images into one archive, shared layers once.

        Raises:
            DevstackError: ``DISK_FULL``.
        """
        argv = ["docker", "save", "--output", str(archive), "--", *references]
        done = self._run(argv, check=False)
        if not done.ok:
            full = OSError(errno.ENOSPC, "", str(archive)) if _FULL in done.stderr else OSError()
            raise disk_full(full) or command_failed(done, self.engine)

    def tag(self, source: str, target: str) -> None:
        """Add a name to an image."""
        self._run(["docker", "tag", source, target])

    def remove_image(self, reference: str) -> None:
        """Remove a name of an image, if it exists and no container uses it."""
        self._run(["docker", "rmi", reference], check=False)

    def build(self, dockerfile: str, target: str, files: Path, progress: Progress) -> None:
        """Build an image from a Dockerfile's text and a folder of files."""
        argv = ["docker", "build", "--tag", target, "--file", "-", str(files)]
        self._run(argv, input=dockerfile, on_line=progress.note)

    def build_file(self, dockerfile: Path, target: str, progress: Progress) -> None:
        """Build an image from a Dockerfile and the folder that it is in."""
        argv = ["docker", "build", "--tag", target, "--file", str(dockerfile)]
        self._run([*argv, str(dockerfile.parent)], on_line=progress.note)

    def import_archive(
        self, node: Any, blocks: Iterable[bytes], label: str, timeout: float
    ) -> Completed:
        """Import a tar archive of images into containerd of a node container, and unpack it.

        Args:
            node: the container.
            blocks: the archive.
            label: a label for the images, as ``name=value``.
            timeout: seconds.

        Returns:
            The ended command, whether it succeeded or not.
        """
        argv = ["docker", "exec", "--interactive", node.name, *_CTR, "images", "import", "--local"]
        argv += ["--discard-unpacked-layers", "--label", label, "-"]
        return self._run(argv, input=blocks, check=False, timeout=timeout)

    def extract(self, image: str, script: str, into: Path) -> None:
        """Run a script in a temporary container; it writes to the file that is its argument."""
        self._remove_builder()
        mount = f"{into.parent}:/out"
        # Root of an engine that maps users (userns-remap) could not write there otherwise.
        argv = [*self._run_builder(), "--userns=host", "--volume", mount, "--entrypoint", "bash"]
        try:
            self._run([*argv, image, "-euc", script, "bash", f"/out/{into.name}"])
        finally:
            self._remove_builder()

    def change(
        self, image: str, script: str, files: Path, target: str, settings: Sequence[str]
    ) -> None:
        """Run a script in a privileged container and commit its file system as an image.

        An engine that maps users (userns-remap) refuses it: with --userns=host the container
        would start, but the image would lack all files of its root, which is no mapped user.

        Args:
            image: the image of the container.
            script: run by bash; ``files`` are below ``/files``.
            files: a folder on this machine.
            target: the reference of the new image.
            settings: Dockerfile instructions for the new image's configuration.
        """
        argv = [*self._run_builder(), "--privileged", "--network", "none"]
        argv += ["--volume", f"{files}:/files:ro", "--entrypoint", "bash"]
        argv += [image, "-euc", script]
        commit_container(self._runner, self._builder, lambda run: run(argv), target, settings)

    def prune_unnamed(self) -> None:
        """Remove built images that lost their name to a newer one and that no container uses."""
        argv = ["docker", "image", "prune", "--force", "--filter", f"label={KEY_LABEL}"]
        self._run(argv, check=False)

    def _run_builder(self) -> list[str]:
        label = f"{OWNER_LABEL}={self._owner}"
        return ["docker", "run", "--name", self._builder, "--label", label]

    def _remove_builder(self) -> None:
        argv = ["docker", "rm", "--force", "--volumes", self._builder]
        self._run(argv, check=False)

    def _run(self, argv: Sequence[str], *, check: bool = True, **options: Any) -> Completed:
        """Run a ``docker`` command; see `devstack.process.Runner.run`."""
        try:
            done = self._runner.run(argv, check=False, **options)
        except ProgramMissingError as error:
            raise engine_missing(self.engine, self._runner) from error
        if check and not done.ok:
            raise command_failed(done, self.engine)
        return done

    def _connect(self) -> Any:
        if self._client is None:
            self._client = connect(self.engine)
        return self._client
