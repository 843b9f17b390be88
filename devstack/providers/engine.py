"""The Docker engine, as the kind provider needs it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from devstack.errors import DevstackError, ExitStatus
from devstack.process import Runner
from devstack.providers.base import Problem

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
"""kind puts this label on every node container."""
ROLE_LABEL = "io.x-k8s.kind.role"

INSTALL = (
    "install Docker and start it; on a Debian-family machine as root, "
    "`./scripts/prepare-docker` does both"
)


class Engine:
    """A Docker engine, asked through its API.

    Args:
        runner: tells whether the ``docker`` client, which kind calls, is there.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._client: Any = None

    def problem(self) -> Problem | None:
        """Return why Docker cannot be used, told apart: absent, stopped, not permitted."""
        if self._runner.which("docker") is None:
            return Problem("Docker is not installed", INSTALL, "DOCKER_MISSING")
        import docker

        try:
            self._connect().ping()
        except docker.errors.DockerException as error:
            return _problem(error)
        except Exception as error:  # requests' own errors differ by version
            return _problem(error)
        return None

    def nodes(self, cluster: str) -> list[Any]:
        """Return the node containers of a kind cluster, the control plane's first."""
        found = self._connect().containers.list(
            all=True, filters={"label": f"{CLUSTER_LABEL}={cluster}"}
        )
        return sorted(found, key=lambda node: (node.labels.get(ROLE_LABEL, ""), node.name))

    def start(self, nodes: Iterable[Any]) -> None:
        """Start the containers that do not run; resume those that are paused."""
        for node in nodes:
            if node.status == "paused":
                node.unpause()
            elif node.status != "running":
                node.start()

    def remove(self, nodes: Iterable[Any]) -> None:
        """Remove containers, running or not, and their anonymous volumes."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(_remove, nodes))

    def remove_network(self, name: str) -> None:
        """Remove the networks of this name, if there are any."""
        for network in self._connect().networks.list(names=[name]):
            if network.name == name:
                network.remove()

    def _connect(self) -> Any:
        if self._client is None:
            import docker

            try:
                self._client = docker.from_env(timeout=60)
            except docker.errors.DockerException as error:
                problem = _problem(error)
                raise DevstackError(
                    problem.message,
                    remedy=problem.remedy,
                    code=problem.code,
                    exit_status=ExitStatus.ENVIRONMENT,
                ) from error
        return self._client


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


def _problem(error: Exception) -> Problem:
    causes = _causes(error)
    if any(isinstance(cause, PermissionError) for cause in causes):
        return Problem(
            "Docker refuses this user",
            "add yourself to the group `docker` and log in again, or use rootless Docker",
            "DOCKER_FORBIDDEN",
        )
    return Problem(
        f"Docker does not answer ({_last_words(error)})",
        "start the Docker engine (`systemctl start docker`, `./scripts/prepare-docker`, "
        "or Docker Desktop)",
        "DOCKER_STOPPED",
    )


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    queue: list[Any] = [error]
    while queue:
        item = queue.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            queue += [item.__cause__, item.__context__, *item.args]
    return found


def _last_words(error: Exception) -> str:
    deepest = _causes(error)[-1]
    return str(deepest).strip("()'\" ") or type(deepest).__name__
