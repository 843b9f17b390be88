"""A real Git server on loopback, and a clone that pushes to it."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from git_server.repository import create_repository
from git_server.server import GitServer

from tests.support.private_authority import ServingFiles

USER, PASSWORD = "git", "correct horse"
_AUTHOR = ("-c", "user.name=Tester", "-c", "user.email=tester@example.invalid")


@dataclass
class Clone:
    """A working copy that pushes to the server.

    Attributes:
        folder: its folder.
        url: the repository, with the login: only tests put it there.
    """

    folder: Path
    url: str

    def git(self, *argv: str) -> str:
        """Run git in the clone; return its output."""
        done = subprocess.run(
            ["git", *_AUTHOR, *argv],
            cwd=self.folder,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, str], message: str = "change") -> str:
        """Replace all files by ``files``, and commit; return the commit's id."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def push(self, *options: str, branch: str = "main") -> None:
        """Push the current commit to a branch."""
        self.git("push", "--quiet", *options, self.url, f"HEAD:refs/heads/{branch}")


def make_clone(folder: Path, url: str, user: str = USER, password: str = PASSWORD) -> Clone:
    """Return an empty repository of a user who pushes to ``url``."""
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)
    login = f"{user}:{password.replace(' ', '%20')}"
    return Clone(folder, url.replace("://", f"://{login}@"))


class _TlsServer(GitServer):
    def shutdown_request(self, request: Any) -> None:
        """End the TLS session, too: to git, one without an end is an answer that was cut off."""
        with suppress(OSError):
            request.settimeout(5)
            request.unwrap()
        super().shutdown_request(request)


@contextmanager
def served(
    root: Path, port: int = 0, host: str = "127.0.0.1", tls: ServingFiles | None = None
) -> Iterator[tuple[str, int]]:
    """Serve ``dags.git`` below a folder; yield its URL and the port.

    Args:
        root: the folder.
        port: where to listen; 0 for a free port.
        host: the address to listen at.
        tls: the certificate and key for HTTPS; without them it is HTTP.
    """
    create_repository(root / "dags.git")
    server = (_TlsServer if tls else GitServer)((host, port), root, USER, PASSWORD)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        scheme = "https" if tls else "http"
        yield f"{scheme}://{host}:{server.server_port}/dags.git", server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
