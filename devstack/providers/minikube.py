"""Clusters created by minikube."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from devstack.docker.podman_client import engine_client
from devstack.errors import DevstackError, ExitStatus
from devstack.image_names import familiar
from devstack.images.archive_reader import ImageArchive
from devstack.images.kubernetes_versions import SUPPORTED
from devstack.owner import Owner
from devstack.process import Completed, Runner
from devstack.progress import Progress
from devstack.providers.base import ClusterSpec, ClusterStatus, Problem
from devstack.providers.claim import Claim
from devstack.providers.docker_host import check_docker_host
from devstack.providers.features import FEATURES
from devstack.providers.ownership import foreign_cluster
from devstack.providers.ready import wait_for_api
from devstack.state import StackDir
from devstack.waits import Clock

PROFILE_LABEL = "name.minikube.sigs.k8s.io"
"""minikube puts this label, with the profile's name, on every node container."""


class MinikubeProvider:
    """One minikube profile per stack; other profiles are never touched.

    Args:
        stack: the stack's directory, with the kubeconfig.
        runner: runs minikube.
        clock: measures timeouts.
        progress: reports minikube's output.
    """

    name = "minikube"
    owns_cluster = True

    def __init__(self, stack: StackDir, runner: Runner, clock: Clock, progress: Progress) -> None:
        self._stack = stack
        self._runner = runner
        self._clock = clock
        self._progress = progress
        self._engine = engine_client(runner)
        self._claim = Claim(self._engine, self.profile)

    @property
    def profile(self) -> str:
        """The profile's name, as `minikube profile list` shows it."""
        return f"devstack-{self._stack.name}"

    def check(self, spec: ClusterSpec) -> list[Problem]:
        """Return why minikube cannot be used: it is not installed."""
        if self._runner.which("minikube"):
            return []
        remedy = "install minikube, or use another provider: devstack up --provider kind"
        return [Problem("minikube is not on PATH", remedy, "MINIKUBE_MISSING")]

    def ensure(self, spec: ClusterSpec) -> str:
        """Start the profile; return its kubeconfig.

        Raises:
            DevstackError: ``CLUSTER_FOREIGN``, ``MINIKUBE_FAILED`` with minikube's
                output, ``TOOL_TIMEOUT`` or ``WAIT_TIMEOUT``.
        """
        self._claim_name(spec)
        if not self._stack.admin_kubeconfig.exists():
            # minikube writes to an existing file without changing its mode.
            self._stack.write_file(self._stack.admin_kubeconfig.name, "")
        self._minikube(self._start_flags(spec), timeout=spec.timeout)
        kubeconfig = self._stack.admin_kubeconfig.read_text()
        wait_for_api(kubeconfig, spec.timeout, self._clock, self._progress.note)
        return kubeconfig

    def status(self, spec: ClusterSpec) -> ClusterStatus:
        """Return what `minikube status` reports of this stack's profile."""
        owner = self.owner(spec)
        if owner and not owner.matches(self._stack.owner):
            return ClusterStatus("absent", f"{self._title} belongs to {owner}")
        done = self._minikube(["status", "--output", "json"], timeout=30, check=False)
        host = _host_state(done.stdout)
        if not host:
            return ClusterStatus("absent", f"there is no minikube profile {self.profile!r}")
        running = host == "Running"
        return ClusterStatus("running" if running else "stopped", f"the host is {host}")

    def check_machine(self, spec: ClusterSpec) -> list[Problem]:
        """Return what of this machine may keep node containers from working."""
        if self.check(spec):
            return []
        return check_docker_host(self._runner)

    def owner(self, spec: ClusterSpec) -> Owner | None:
        """Return who claimed the profile's name, or the owner of the profile's nodes."""
        if holder := self._claim.holder():
            return holder
        if self._engine.has_containers(f"{PROFILE_LABEL}={self.profile}"):
            return self._owner_of_unclaimed()
        return None

    def delete(self, spec: ClusterSpec) -> None:
        """Delete this profile if it is this stack's, never another."""
        owner = self.owner(spec)
        if owner and not owner.matches(self._stack.owner):
            return
        if self._runner.which("minikube"):
            self._minikube(["delete"], timeout=spec.timeout)
        self._claim.release(self._stack.owner)

    def collect_logs(self, spec: ClusterSpec, into: Path) -> None:
        """Write the output of `minikube logs` into one file."""
        self._require_own(self.owner(spec))
        self._minikube(["logs", "--file", str(into / "minikube.log")], timeout=spec.timeout)

    def images_present(self, spec: ClusterSpec) -> set[str]:
        """Return the references minikube lists, without the default registry's prefix."""
        done = self._minikube(["image", "list"], timeout=spec.timeout, check=False)
        return {line.strip().removeprefix("docker.io/") for line in done.stdout.splitlines()}

    def load_images(
        self, spec: ClusterSpec, references: Sequence[str], note: Callable[[str], None]
    ) -> None:
        """Copy images from Docker into every node."""
        self._minikube(["image", "load", *references], timeout=spec.timeout)

    def image_ids(self, spec: ClusterSpec) -> dict[str, str]:
        """Return the id of each image that minikube lists, by its name."""
        argv = ["image", "list", "--format", "json"]
        listing = self._minikube(argv, timeout=spec.timeout, check=False).stdout
        try:
            images = json.loads(listing)
        except ValueError:
            return {}
        return {
            familiar(name): f"sha256:{str(image['id']).removeprefix('sha256:')}"
            for image in images
            for name in image.get("repoTags") or []
        }

    def add_images(self, spec: ClusterSpec, archive: ImageArchive) -> None:
        """Load an archive's images into every node."""
        with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
            copy = Path(folder) / "image.tar"
            with copy.open("wb") as file:
                file.writelines(archive.stream())
            self._minikube(["image", "load", str(copy)], timeout=spec.timeout)

    def plan(self, spec: ClusterSpec) -> list[str]:
        """Return the command that creates the cluster."""
        return [" ".join(["minikube", "--profile", self.profile, *self._start_flags(spec)])]

    def _owner_of_unclaimed(self) -> Owner:
        # Earlier releases made no claim; only the stack that made the profile has a kubeconfig.
        kubeconfig = self._stack.admin_kubeconfig
        is_ours = kubeconfig.exists() and self.profile in kubeconfig.read_text()
        return self._stack.owner if is_ours else Owner("")

    def _claim_name(self, spec: ClusterSpec) -> None:
        """Claim the profile's name: minikube replaces the nodes of another user's profile."""
        self._require_own(self.owner(spec))
        self._require_own(self._claim.acquire(self._stack.owner))

    def _require_own(self, owner: Owner | None) -> None:
        if owner and not owner.matches(self._stack.owner):
            raise foreign_cluster(self._stack.name, self._title, owner)

    @property
    def _title(self) -> str:
        return f"the minikube profile {self.profile!r}"

    def _start_flags(self, spec: ClusterSpec) -> list[str]:
        features = FEATURES[spec.kubernetes]
        gates = ",".join(f"{name}={str(on).lower()}" for name, on in features.gates.items())
        served = ",".join(f"{api}={on}" for api, on in features.apis.items())
        return [
            "start",
            "--driver=docker",
            f"--kubernetes-version={SUPPORTED[spec.kubernetes].built}",
            f"--nodes={spec.nodes}",
            *([f"--feature-gates={gates}"] if gates else []),
            *([f"--extra-config=apiserver.runtime-config={served}"] if served else []),
            "--listen-address=127.0.0.1",
            "--embed-certs",
            "--interactive=false",
        ]

    def _minikube(self, argv: list[str], *, timeout: float, check: bool = True) -> Completed:
        done = self._runner.run(
            ["minikube", "--profile", self.profile, *argv],
            env={"KUBECONFIG": str(self._stack.admin_kubeconfig)},
            check=False,
            timeout=timeout,
            on_line=self._progress.note,
        )
        if check and not done.ok:
            raise DevstackError(
                f"cannot {argv[0]} the minikube profile {self.profile!r}",
                cause=_last_error(done),
                remedy="`devstack down` removes what was created; `minikube logs` shows more",
                code="MINIKUBE_FAILED",
                exit_status=ExitStatus.ENVIRONMENT,
                output=done.stderr or done.stdout,
            )
        return done


def _last_error(done: Completed) -> str:
    # minikube marks the final error, as in "X Exiting due to DRV_NOT_DETECTED: ...".
    marked = [line for line in done.stderr.splitlines() if "Exiting due to" in line]
    return marked[-1].partition("Exiting due to ")[2] if marked else "minikube ended with an error"


def _host_state(output: str) -> str:
    try:
        statuses = json.loads(output)
    except ValueError:
        return ""
    status = statuses[0] if isinstance(statuses, list) else statuses
    state = str(status.get("Host", ""))
    return "" if state == "Nonexistent" else state
