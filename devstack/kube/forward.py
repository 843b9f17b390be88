"""Port-forwards in the background, for clusters whose node ports this machine cannot reach.

Each is a `kubectl port-forward` process with a PID file.
"""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devstack.environment_variables import tool_environment
from devstack.errors import DevstackError, ExitStatus
from devstack.paths import private_folder
from devstack.pidfile import read_pidfile, recorded_process, terminate_recorded, write_pidfile
from devstack.ports import LOOPBACK
from devstack.waits import Clock, Failed, Observation, Ready, Waiting, wait_until

FOLDER = "forwards"
"""The folder of the PID files, below the stack's directory."""


@dataclass(frozen=True)
class Forward:
    """A port of a Service, forwarded from loopback of this machine.

    Attributes:
        name: unique in the stack.
        host_port: the port on 127.0.0.1.
        target: the Service as ``namespace/name:port``.
    """

    name: str
    host_port: int
    target: str

    def argv(self, kubectl: str, kubeconfig: Path) -> list[str]:
        """Return the command that forwards the port."""
        namespace, _, rest = self.target.partition("/")
        service, _, port = rest.partition(":")
        return [
            kubectl,
            f"--kubeconfig={kubeconfig}",
            f"--cache-dir={kubeconfig.parent / 'kubectl-cache'}",
            f"--namespace={namespace}",
            "port-forward",
            f"--address={LOOPBACK}",
            f"service/{service}",
            f"{self.host_port}:{port}",
        ]


def start_forward(
    folder: Path, forward: Forward, *, kubectl: str, kubeconfig: Path, clock: Clock
) -> None:
    """Forward a port in the background, unless it is forwarded already.

    Args:
        folder: the stack's directory.
        forward: the port.
        kubectl: path of the program.
        kubeconfig: credentials that permit ``pods/portforward``.
        clock: the clock of the wait.

    Raises:
        DevstackError: ``FORWARD_FAILED`` with kubectl's last lines, or
            ``WAIT_TIMEOUT``.
    """
    if is_forwarded(folder, forward):
        return
    pidfile = _pidfile(folder, forward.name)
    _stop(pidfile)
    log = private_folder(folder / FOLDER) / f"{forward.name}.log"
    process = _spawn(forward.argv(kubectl, kubeconfig), log)
    details = {"host_port": forward.host_port, "target": forward.target}
    write_pidfile(pidfile, process.pid, **details)
    wait_until(
        lambda: _observe(process, forward, log),
        what=f"the port-forward of {forward.target} to respond",
        timeout=15.0,
        clock=clock,
    )


def is_forwarded(folder: Path, forward: Forward) -> bool:
    """Return True if the forward's process runs and accepts connections."""
    pidfile = _pidfile(folder, forward.name)
    record = read_pidfile(pidfile)
    recorded = (record.get("host_port"), record.get("target"))
    if recorded != (forward.host_port, forward.target):
        return False
    return recorded_process(pidfile) is not None and _listens(forward.host_port)


def stop_forwards(folder: Path) -> list[str]:
    """End all forwards of the stack in ``folder``; return the names of those that ran."""
    pidfiles = sorted((folder / FOLDER).glob("*.json"))
    return [pidfile.stem for pidfile in pidfiles if _stop(pidfile)]


def _observe(process: subprocess.Popen[bytes], forward: Forward, log: Path) -> Observation:
    if process.poll() is not None:
        return Failed(
            f"kubectl ended with status {process.returncode}",
            remedy="check that the Service has a ready pod, and that the port is free",
            code="FORWARD_FAILED",
            output=log.read_text(errors="replace"),
        )
    if _listens(forward.host_port):
        return Ready()
    return Waiting(f"nothing listens on {LOOPBACK}:{forward.host_port} yet")


def _spawn(argv: list[str], log: Path) -> subprocess.Popen[bytes]:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=tool_environment(),
            # Ctrl-C in the terminal must not end it.
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise DevstackError(
            "cannot forward ports",
            cause=f"{argv[0]} is missing",
            remedy="install kubectl",
            code="TOOL_MISSING",
            exit_status=ExitStatus.ENVIRONMENT,
        ) from error
    finally:
        os.close(descriptor)


def _pidfile(folder: Path, name: str) -> Path:
    return folder / FOLDER / f"{name}.json"


def _stop(pidfile: Path) -> bool:
    ran = terminate_recorded(pidfile)
    pidfile.with_suffix(".log").unlink(missing_ok=True)
    return ran


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
