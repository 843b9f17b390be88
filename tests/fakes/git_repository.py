"""A real Git server on loopback, and a clone that pushes to it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from git_server.repository import create_repository
from git_server.server import GitServer

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


@contextmanager
def served(root: Path, port: int = 0) -> Iterator[tuple[str, int]]:
    """Serve ``dags.git`` below a folder; yield its URL and the port."""
    create_repository(root / "dags.git")
    server = GitServer(("127.0.0.1", port), root, USER, PASSWORD)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dags.git", server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
