"""The logs of a Celery worker's tasks: served while they run, kept when they have ended.

The server is a thread of the worker. It has the address and the token of Airflow's own
(airflow.utils.serve_logs), which starts three processes.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

PORT = 8793
PRUNE_SECONDS = 300.0
PRUNE_AGE = 900.0
"""Seconds after which a log that is on the volume is deleted here."""
AUDIENCE = "task-instance-logs"
"""Of the tokens that Airflow's web server signs for one file each."""


def local_folder() -> Path:
    """Return the folder of this worker's logs."""
    return Path(os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"])


def kept_folder() -> Path:
    """Return the folder on the volume that all components share."""
    return Path(os.environ["AIRFLOW_HOME"]) / "logs"


def restore(folder: Path, task: Any) -> None:
    """Copy the logs of a task's attempts from the volume, before it is executed.

    An attempt that was deferred or rescheduled may go on at another worker. Its log is appended
    to, and what the other one has written would be lost when it is kept.

    Args:
        folder: this worker's logs.
        task: the task, see `task_state.Task`.
    """
    for path in (kept_folder() / task.log_folder).glob("attempt=*.log"):
        _copy(path, folder / path.relative_to(kept_folder()))


def keep(folder: Path, task: Any) -> None:
    """Copy the logs of a task's attempts to the volume: they outlive the worker.

    Args:
        folder: this worker's logs.
        task: the task, see `task_state.Task`.
    """
    for path in (folder / task.log_folder).glob("attempt=*.log"):
        _copy(path, kept_folder() / path.relative_to(folder))


def keep_all(folder: Path) -> None:
    """Copy the logs that are newer than on the volume, those of a killed container."""
    for path in folder.rglob("*.log"):
        _copy(path, kept_folder() / path.relative_to(folder))


def prune_regularly(folder: Path, active: Callable[[], Collection[str]]) -> None:
    """Delete old logs every few minutes, for as long as the process lives.

    Args:
        folder: this worker's logs.
        active: returns the log folders of the tasks that are executed.
    """
    while True:
        time.sleep(PRUNE_SECONDS)
        # The set of tasks may change while it is read; then the next time.
        with suppress(OSError, RuntimeError, LookupError):
            prune(folder, active())


def prune(folder: Path, active: Collection[str]) -> None:
    """Delete old logs, which are on the volume, and folders that have become empty.

    The web server reads those of tasks that have ended from the volume.

    Args:
        folder: this worker's logs.
        active: log folders of the tasks that are executed: these append to their logs.
    """
    for path in list(folder.rglob("attempt=*.log")):
        relative = path.relative_to(folder)
        with suppress(OSError):
            if str(relative.parent) in active or _age(path) < PRUNE_AGE:
                continue
            # The process of a task that was killed could not copy its log.
            _copy(path, target := kept_folder() / relative)
            if _is_whole(target, path):
                path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):
            # A new one may be about to get a log.
            if path.is_dir() and _age(path) > PRUNE_AGE:
                path.rmdir()


def _age(path: Path) -> float:
    """Return the seconds since the last change, or since another worker's log was copied."""
    status = path.stat()
    return time.time() - max(status.st_mtime, status.st_ctime)


def _is_whole(target: Path, path: Path) -> bool:
    """Return True if ``target`` has all of a log."""
    kept, local = target.stat(), path.stat()
    # File systems may cut fractions of a second off.
    return kept.st_size >= local.st_size and kept.st_mtime >= int(local.st_mtime)


def _copy(path: Path, target: Path) -> None:
    """Copy a log, unless the target is as new.

    The copy has the time of the original, so that it is older than one that is appended to.
    """
    # A task must not fail because its log could not be copied: the worker still serves it.
    with suppress(OSError):
        if target.exists() and target.stat().st_mtime >= path.stat().st_mtime:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copy2(path, unfinished)
        unfinished.replace(target)


def serve(folder: Path, pulse: Any) -> None:
    """Serve the logs, and the worker's health, for as long as the process lives.

    Args:
        folder: this worker's logs.
        pulse: tells whether the worker is ready and alive.
    """
    handler = type("Handler", (_Handler,), {"folder": folder.resolve(), "pulse": pulse})
    server = ThreadingHTTPServer(("0.0.0.0", PORT), handler)  # noqa: S104 - a pod's own address
    server.daemon_threads = True
    server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    pulse: Any

    def do_GET(self) -> None:
        """Answer a probe, or a request for a log."""
        if self.path == "/health":
            self._answer(self._status(self.pulse.is_alive()))
        elif self.path == "/ready":
            self._answer(self._status(self.pulse.is_ready))
        elif self.path.startswith("/log/"):
            self._send_log(unquote(self.path.removeprefix("/log/")))
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def _send_log(self, name: str) -> None:
        if not self._is_authorized(name):
            self._answer(HTTPStatus.FORBIDDEN)
            return
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder) or not path.is_file():
            self._answer(HTTPStatus.NOT_FOUND)
            return
        self._answer(HTTPStatus.OK, path.read_bytes())

    def _is_authorized(self, name: str) -> bool:
        """Return True if the request has a valid token of the web server for this file."""
        from airflow.configuration import conf
        from airflow.utils.jwt_signer import JWTSigner, get_signing_key

        signer = JWTSigner(
            secret_key=get_signing_key("webserver", "secret_key"),
            expiration_time_in_seconds=conf.getint(
                "webserver", "log_request_clock_grace", fallback=30
            ),
            audience=AUDIENCE,
        )
        try:
            claims = signer.verify_token(self.headers.get("Authorization", ""))
        except Exception:
            return False
        return claims.get("filename") == name

    def _status(self, is_well: bool) -> HTTPStatus:
        return HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE

    def _answer(self, status: HTTPStatus, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing: each probe is a request."""
