"""Running git, with credentials that are neither arguments nor in the log."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from git_sync.failures import HOST_KEY_UNKNOWN, UNAUTHORISED, UNREACHABLE, SyncError, failure_of
from git_sync.settings import Settings

QUERY_SECONDS = 60.0
FETCH_SECONDS = 600.0
TICK_SECONDS = 10.0
ASKPASS = "/opt/devstack/askpass"
KEY, KNOWN_HOSTS, USER, PASSWORD = "ssh-privatekey", "known_hosts", "username", "password"
AUTHORITY = "ca.crt"
_SLOW = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=20", "-c", "gc.autoDetach=false")


class Git:
    """Runs git commands for one repository.

    Args:
        settings: what to follow.
        scratch: a private folder, for the SSH key.
        askpass: the program that tells git the user's name and password.
        tick: called every few seconds while git runs.
    """

    def __init__(
        self,
        settings: Settings,
        scratch: Path,
        askpass: str = ASKPASS,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._scratch = scratch
        self._askpass = askpass
        self._tick = tick

    def remote(self, *argv: str, timeout: float = QUERY_SECONDS) -> str:
        """Run a command that connects to the repository; return its output.

        Raises:
            SyncError: it failed, with git's reason.
        """
        return self._run([*_SLOW, *argv], self._credentials(), timeout)

    def local(self, *argv: str, variables: Mapping[str, str] | None = None) -> str:
        """Run a command on the clone; return its output.

        Raises:
            SyncError: it failed, with git's reason.
        """
        return self._run(argv, variables or {}, FETCH_SECONDS)

    def _run(self, argv: Sequence[str], variables: Mapping[str, str], timeout: float) -> str:
        clone = self._settings.folder / "repository"
        # Messages are classified, so they must not be translated.
        always = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
        process = subprocess.Popen(
            ["git", f"--git-dir={clone}", *argv],
            env={**os.environ, **always, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Its children, ssh among them, end with it.
            start_new_session=True,
        )
        try:
            output, errors = self._communicate(process, timeout)
        finally:
            _end(process)
        if process.returncode:
            raise failure_of(errors or output)
        return output

    def _communicate(self, process: subprocess.Popen[str], timeout: float) -> tuple[str, str]:
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                # It keeps what it has read, and may be called again.
                return process.communicate(timeout=max(0.0, min(left, TICK_SECONDS)))
            except subprocess.TimeoutExpired as expired:
                if left <= TICK_SECONDS:
                    raise SyncError(UNREACHABLE, f"no answer within {timeout:g} s") from expired
            self._tick()

    def _credentials(self) -> dict[str, str]:
        """Return the variables that make git use the Secret; it is read at each call."""
        names = (KEY, KNOWN_HOSTS, USER, PASSWORD, AUTHORITY)
        found = {name for name in names if self._file(name).is_file()}
        secret = self._settings.secret
        if secret and not found & {KEY, PASSWORD, AUTHORITY}:
            keys = f"{USER} and {PASSWORD}, or {KEY} and {KNOWN_HOSTS}, or {AUTHORITY}"
            raise SyncError(UNAUTHORISED, f"the Secret {secret} does not exist, or lacks {keys}")
        if KEY in found:
            if KNOWN_HOSTS not in found:
                raise SyncError(HOST_KEY_UNKNOWN, f"the Secret {secret} lacks {KNOWN_HOSTS}")
            return {"GIT_SSH_COMMAND": self._ssh()}
        # In place of the public authorities, as git has it.
        trust = {"GIT_SSL_CAINFO": str(self._file(AUTHORITY))} if AUTHORITY in found else {}
        return {
            "GIT_ASKPASS": self._askpass,
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
            **trust,
        }

    def _ssh(self) -> str:
        key = self._scratch / "key"
        # Its last line must end, and others must not be able to read it: ssh refuses it else.
        text = self._file(KEY).read_text().rstrip() + "\n"
        if not key.exists() or key.read_text() != text:
            key.unlink(missing_ok=True)
            with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
        options = {
            "IdentityFile": key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self._file(KNOWN_HOSTS),
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": 10,
        }
        return " ".join(["ssh -F none", *(f"-o {name}={value}" for name, value in options.items())])

    def _file(self, name: str) -> Path:
        return self._settings.credentials / name


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a process that still runs, with all that it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
