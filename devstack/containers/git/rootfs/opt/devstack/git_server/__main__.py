"""Serve the repository until the container is stopped."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from git_server.repository import create_repository
from git_server.server import GitServer


def main() -> None:
    """Create the repository if there is none, and serve it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    root = Path(os.environ["GIT_SERVER_ROOT"])
    create_repository(root / os.environ["GIT_SERVER_REPOSITORY"])
    password = Path(os.environ["GIT_SERVER_PASSWORD_FILE"]).read_text().strip()
    port = int(os.environ["GIT_SERVER_PORT"])
    GitServer(("", port), root, os.environ["GIT_SERVER_USER"], password).serve_forever()


if __name__ == "__main__":
    main()
