"""The Docker engine, as the kind provider needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from devstack.docker.cgroup import unfreeze
from devstack.docker.network import create_network
from devstack.errors import DevstackError, ExitStatus
from devstack.process import Runner
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
"""kind puts this label on every node container."""
ROLE_LABEL = "io.x-k8s.kind.role"

REMOVAL_SECONDS = 4.0
"""A node that takes longer to be removed may be held by a frozen process."""

DETACH_TIMEOUT = 20.0
"""How long Docker may take to end a removal that another call began."""

_PACKED = "/var/devstack-volumes.tar"
"""Where a node's volumes are packed, on its way in or out."""

INSTALL = (
    "install Docker and start it; on a Debian-family machine as root, "
    "`./scripts/prepare-docker` does both. Or use a cluster that you have: "
    "devstack up --context NAME"
)


class Engine:
    """A Docker engine, asked through its API.

    Args:
        runner: tells whether the ``docker`` client, which kind calls, is there.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._client: Any = None

    def require_usable(self) -> None:
        """Ping the engine.

        Raises:
            DevstackError: ``DOCKER_MISSING``, ``DOCKER_STOPPED`` or ``DOCKER_FORBIDDEN``.
        """
        if self._runner.which("docker") is None:
            raise DevstackError(
                "Docker is not installed",
                remedy=INSTALL,
                code="DOCKER_MISSING",
                exit_status=ExitStatus.ENVIRONMENT,
            )
        with translate_docker_errors():
            self._connect().ping()

    def nodes(self, cluster: str) -> list[Any]:
        """Return the node containers of a kind cluster, the control plane's first."""
        with translate_docker_errors():
            found = self._connect().containers.list(
                all=True,
                filters={"label": f"{CLUSTER_LABEL}={cluster}"},
                # The client asks for each of the list, and one may be gone by then.
                ignore_removed=True,
            )
        return sorted(found, key=lambda node: (node.labels.get(ROLE_LABEL, ""), node.name))

    def has_containers(self, label: str) -> bool:
        """Return True if there are containers, running or not, with a label ``name=value``."""
        with translate_docker_errors():
            found = self._connect().containers.list(all=True, filters={"label": label}, sparse=True)
        return bool(found)

    def start(self, nodes: Iterable[Any]) -> None:
        """Start the containers that do not run; resume those that are paused."""
        with translate_docker_errors():
            for node in nodes:
                if node.status == "paused":
                    node.unpause()
                elif node.status != "running":
                    node.start()

    def execute(self, node: Any, argv: Sequence[str]) -> str:
        """Run a program in a container; return its output, nothing where it failed."""
        with translate_docker_errors():
            status, output = node.exec_run(list(argv))
        return str(output.decode(errors="replace")) if status == 0 else ""

    def pack(self, node: Any, folders: Sequence[str], archive: Path) -> None:
        """Write folders of a container into an archive that :meth:`unpack` reads.

        Raises:
            DevstackError: ``VOLUME_UNREADABLE``.
        """
        names = [folder.lstrip("/") for folder in folders]
        self._require(node, ["tar", "-C", "/", "-cf", _PACKED, *names])
        with translate_docker_errors(), archive.open("wb") as file:
            chunks, _ = node.get_archive(_PACKED)
            for chunk in chunks:
                file.write(chunk)
        self._require(node, ["rm", _PACKED])

    def unpack(self, node: Any, archive: Path) -> None:
        """Put an archive of :meth:`pack` into a container, each file with its owner.

        Raises:
            DevstackError: ``VOLUME_UNREADABLE``.
        """
        with translate_docker_errors(), archive.open("rb") as file:
            # Docker would make root the owner, but for an archive within the archive.
            node.put_archive(str(PurePosixPath(_PACKED).parent), file)
        self._require(node, ["tar", "-C", "/", "--numeric-owner", "-xpf", _PACKED])
        self._require(node, ["rm", _PACKED])

    def _require(self, node: Any, argv: Sequence[str]) -> None:
        with translate_docker_errors():
            status, output = node.exec_run(list(argv))
        if status != 0:
            raise DevstackError(
                f"cannot keep the volumes of {node.name}",
                cause=f"{argv[0]} ended with status {status}",
                remedy="free some room on Docker's disk and run the command again",
                code="VOLUME_UNREADABLE",
                output=output.decode(errors="replace"),
            )

    def remove(self, nodes: Iterable[Any]) -> None:
        """Remove containers, running or not, and their anonymous volumes."""
        with translate_docker_errors(), ThreadPoolExecutor(max_workers=8) as pool:
            removals = {pool.submit(_remove, node): node for node in nodes}
            _, late = wait(removals, timeout=REMOVAL_SECONDS)
            for removal in late:
                unfreeze(self._connect(), removals[removal])
            for removal in removals:
                removal.result()

    def networks(self, name: str) -> list[Any]:
        """Return the networks of exactly this name."""
        with translate_docker_errors():
            found = self._connect().networks.list(names=[name])
        # Docker returns all whose name contains it.
        return [network for network in found if network.name == name]

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a network like kind's, with labels."""
        with translate_docker_errors():
            create_network(self._connect(), name, labels)

    def remove_networks(self, networks: Iterable[Any]) -> None:
        """Remove networks.

        Raises:
            DevstackError: ``WAIT_TIMEOUT`` if containers stay connected to one.
        """
        with translate_docker_errors():
            for network in networks:
                what = f"the network {network.name} to be removed"
                _await(partial(_observe_network, network), what)

    def claim_volume(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        """Create a volume unless there is one, atomically; return the labels that it has."""
        with translate_docker_errors():
            volume = self._connect().volumes.create(name, labels=dict(labels))
        return dict(volume.attrs.get("Labels") or {})

    def volume_labels(self, name: str) -> dict[str, str] | None:
        """Return a volume's labels, or None if there is no such volume."""
        import docker

        with translate_docker_errors():
            try:
                volume = self._connect().volumes.get(name)
            except docker.errors.NotFound:
                return None
        return dict(volume.attrs.get("Labels") or {})

    def remove_volume(self, name: str) -> None:
        """Remove a volume, if there is one."""
        import docker

        with translate_docker_errors(), suppress(docker.errors.NotFound):
            self._connect().volumes.get(name).remove()

    def _connect(self) -> Any:
        if self._client is None:
            import docker

            self._client = docker.from_env(timeout=60)
        return self._client


@contextmanager
def translate_docker_errors() -> Iterator[None]:
    """Turn what the Docker SDK raises into errors that say what to do.

    Raises:
        DevstackError: ``DOCKER_REFUSED`` where the engine says no,
            ``DOCKER_FORBIDDEN`` or ``DOCKER_STOPPED`` where it cannot be asked.
    """
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as refused:
        raise DevstackError(
            "Docker refused",
            cause=refused.explanation or str(refused),
            remedy="see `docker ps -a` and `devstack doctor`; then run the command again",
            code="DOCKER_REFUSED",
            exit_status=ExitStatus.ENVIRONMENT,
        ) from refused
    except (docker.errors.DockerException, requests.RequestException) as silent:
        raise _silent(silent) from silent


def _remove(node: Any) -> None:
    import docker

    try:
        node.remove(force=True, v=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        # Another `down` may be removing the same container right now.
        if error.status_code != 409:
            raise
        _await(partial(_observe_container, node), f"the container {node.name} to be removed")


def _observe_container(node: Any) -> Observation:
    import docker

    try:
        node.reload()
    except docker.errors.NotFound:
        return Ready()
    return Waiting(f"it is {node.status}")


def _observe_network(network: Any) -> Observation:
    """Try to remove a network, which Docker refuses while a container is connected."""
    import docker

    try:
        network.remove()
    except docker.errors.NotFound:
        return Ready()
    except docker.errors.APIError as error:
        if error.status_code != 403:
            raise
        return Waiting(error.explanation or str(error))
    return Ready()


def _await(observe: Callable[[], Observation], what: str) -> None:
    remedy = "see `docker ps -a` and `docker network inspect`; then run the command again"
    wait_until(observe, what=what, timeout=DETACH_TIMEOUT, clock=SystemClock(), remedy=remedy)


def _silent(error: Exception) -> DevstackError:
    causes = _causes(error)
    if any(isinstance(cause, PermissionError) for cause in causes):
        return DevstackError(
            "Docker refuses this user",
            remedy="add yourself to the group `docker` and log in again, or use rootless Docker",
            code="DOCKER_FORBIDDEN",
            exit_status=ExitStatus.ENVIRONMENT,
        )
    return DevstackError(
        "Docker does not answer",
        cause=str(causes[-1]),
        remedy="start the Docker engine (`systemctl start docker`, `./scripts/prepare-docker`, "
        "or Docker Desktop)",
        code="DOCKER_STOPPED",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception and all that it came of, the first cause last.

    requests and urllib3 keep the operating system's error as an argument of
    theirs rather than as ``__cause__``.
    """
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        item = queue.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            queue += [item.__cause__, item.__context__, *item.args]
    return found
