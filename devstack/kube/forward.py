"""Port-forwards in the background, for clusters whose node ports the host does not see.

Each is a `kubectl port-forward` process with a file that names it.  The file
holds the process's start time too, so that a process id which the system has
given to somebody else is never taken for ours.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devstack.errors import DevstackError, ExitStatus
from devstack.paths import private_folder
from devstack.ports import LOOPBACK
from devstack.waits import Clock, Failed, Observation, Ready, Waiting, wait_until

if TYPE_CHECKING:
    import psutil

FOLDER = "forwards"
"""The folder of the process files, below the stack's directory."""


@dataclass(frozen=True)
class Forward:
    """One port of a Service, brought to the host's loopback.

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
    """Forward a port in the background, unless that is being done already.

    Args:
        folder: the stack's directory.
        forward: what to bring where.
        kubectl: path of the program.
        kubeconfig: whose rights the forward has; needs ``pods/portforward``.
        clock: tells the time.

    Raises:
        DevstackError: ``FORWARD_FAILED`` with kubectl's last lines, or
            ``WAIT_TIMEOUT``.
    """
    if is_forwarded(folder, forward):
        return
    _stop(_record(folder, forward.name))
    log = private_folder(folder / FOLDER) / f"{forward.name}.log"
    process = _spawn(forward.argv(kubectl, kubeconfig), log)
    _write_record(_record(folder, forward.name), process.pid, forward)
    wait_until(
        lambda: _observe(process, forward, log),
        what=f"the port-forward of {forward.target} to respond",
        timeout=15.0,
        clock=clock,
    )


def is_forwarded(folder: Path, forward: Forward) -> bool:
    """Return True where the forward's process runs and takes connections."""
    record = _read_record(_record(folder, forward.name))
    wanted = {"host_port": forward.host_port, "target": forward.target}
    same = all(record.get(key) == value for key, value in wanted.items())
    return same and _process(record) is not None and _listens(forward.host_port)


def stop_forwards(folder: Path) -> list[str]:
    """End all forwards of the stack in ``folder``; return the names of those that ran."""
    records = sorted((folder / FOLDER).glob("*.json"))
    return [record.stem for record in records if _stop(record)]


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
            # Ctrl-C in the terminal must not reach it.
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        raise DevstackError(
            "cannot forward ports",
            cause=f"{argv[0]} is missing",
            remedy="install kubectl",
            code="TOOL_MISSING",
            exit_status=ExitStatus.ENVIRONMENT,
        ) from missing
    finally:
        os.close(descriptor)


def _record(folder: Path, name: str) -> Path:
    return folder / FOLDER / f"{name}.json"


def _write_record(path: Path, pid: int, forward: Forward) -> None:
    import psutil

    started = psutil.Process(pid).create_time()
    known = {"pid": pid, "started": started}
    path.write_text(json.dumps({**known, "host_port": forward.host_port, "target": forward.target}))
    path.chmod(0o600)


def _read_record(path: Path) -> Mapping[str, object]:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _process(record: Mapping[str, object]) -> psutil.Process | None:
    """Return the process of a record where it still is that very process."""
    import psutil

    pid = record.get("pid")
    try:
        process = psutil.Process(pid) if isinstance(pid, int) else None
        if process and process.create_time() == record.get("started"):
            return process if process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        pass
    return None


def _stop(record: Path) -> bool:
    import psutil

    process = _process(_read_record(record))
    if process:
        process.terminate()
        try:
            process.wait(timeout=5.0)
        except psutil.TimeoutExpired:
            process.kill()
    record.unlink(missing_ok=True)
    record.with_suffix(".log").unlink(missing_ok=True)
    return process is not None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
