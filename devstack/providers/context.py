"""Any cluster the user already has, chosen by a kubeconfig context."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from devstack import tools
from devstack.errors import DevstackError, ExitStatus
from devstack.kube import kubeconfig
from devstack.owner import Owner
from devstack.process import Runner
from devstack.progress import Progress
from devstack.providers.base import ClusterSpec, ClusterStatus, Problem
from devstack.providers.ready import wait_for_api
from devstack.waits import Clock


class ContextProvider:
    """A cluster that devstack neither creates nor deletes; `down` removes its objects only.

    Args:
        runner: runs kubectl.
        clock: measures timeouts.
        progress: receives progress reports.
    """

    name = "context"
    owns_cluster = False

    def __init__(self, runner: Runner, clock: Clock, progress: Progress) -> None:
        self._runner = runner
        self._clock = clock
        self._progress = progress

    def check(self, spec: ClusterSpec) -> list[Problem]:
        """Return why the context cannot be used: no kubeconfig, or no context of that name."""
        files = [path for path in _kubeconfig_files() if path.exists()]
        if not files:
            remedy = "set KUBECONFIG to a file that has the context"
            return [Problem("there is no kubeconfig", remedy, "KUBECONFIG_MISSING")]
        contexts = [entry["name"] for path in files for entry in _read(path)["contexts"]]
        if spec.context in contexts:
            return []
        message = f"there is no context {spec.context!r}" if spec.context else "no context is given"
        remedy = f"--context NAME, one of {', '.join(contexts) or 'none'}"
        return [Problem(message, f"devstack up --provider context {remedy}", "CONTEXT_MISSING")]

    def ensure(self, spec: ClusterSpec) -> str:
        """Return the kubeconfig of this context, as soon as its API server responds.

        Raises:
            DevstackError: ``CONTEXT_MISSING`` or ``WAIT_TIMEOUT``.
        """
        text = self._minified(spec)
        wait_for_api(text, spec.timeout, self._clock, self._progress.note)
        return text

    def status(self, spec: ClusterSpec) -> ClusterStatus:
        """Send one request to the API server."""
        try:
            wait_for_api(self._minified(spec), 0, self._clock)
        except DevstackError as error:
            return ClusterStatus("unreachable", str(error))
        return ClusterStatus("running", f"context {spec.context!r}")

    def owner(self, spec: ClusterSpec) -> Owner | None:
        """Return None: stacks share the cluster, and each object in it names its owner."""
        return None

    def delete(self, spec: ClusterSpec) -> None:
        """Do nothing: devstack did not create the cluster."""

    def collect_logs(self, spec: ClusterSpec, into: Path) -> None:
        """Write the output of `kubectl cluster-info dump`."""
        kubectl = tools.ensure_kubectl(self._runner, self._progress, spec.offline)
        argv = [str(kubectl), "--context", spec.context, "cluster-info", "dump", "-A"]
        with tempfile.TemporaryDirectory() as cache:
            argv += [f"--output-directory={into}", f"--cache-dir={cache}"]
            self._runner.run(argv, timeout=spec.timeout)

    def plan(self, spec: ClusterSpec) -> list[str]:
        """Return the command that reads the context."""
        return [" ".join(["kubectl", *_view(spec.context)])]

    def _minified(self, spec: ClusterSpec) -> str:
        kubectl = tools.ensure_kubectl(self._runner, self._progress, spec.offline)
        done = self._runner.run([str(kubectl), *_view(spec.context)], timeout=30, check=False)
        if not done.ok or "server:" not in done.stdout:
            raise DevstackError(
                f"cannot use the context {spec.context!r}",
                cause="no such context in the kubeconfig",
                remedy="see `kubectl config get-contexts`",
                code="CONTEXT_MISSING",
                exit_status=ExitStatus.USAGE,
                output=done.stderr,
            )
        return done.stdout


def _view(context: str) -> list[str]:
    return ["config", "view", "--raw", "--minify", "--flatten", "--context", context]


def _read(path: Path) -> kubeconfig.Config:
    try:
        return kubeconfig.parse(path.read_text())
    except OSError as error:
        raise DevstackError(
            f"cannot read {path}",
            cause=str(error.strerror),
            remedy="set KUBECONFIG to a file that you may read",
            code="KUBECONFIG_BROKEN",
            exit_status=ExitStatus.ENVIRONMENT,
        ) from error


def _kubeconfig_files() -> list[Path]:
    configured = os.environ.get("KUBECONFIG")
    if configured:
        return [Path(item) for item in configured.split(os.pathsep) if item]
    return [Path.home() / ".kube" / "config"]
