"""What git-sync is to follow, from the environment of its container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What to follow, and where to put it.

    Attributes:
        repo: the repository's URL, without credentials.
        branch: the branch.
        subfolder: the folder of DAG files in the repository; empty for its root.
        interval: seconds between two looks at the branch.
        depth: number of commits to fetch; 0 for all.
        folder: where the clone and the checked-out commits are kept.
        credentials: the folder of a mounted Secret; it need not exist.
        secret: the name of that Secret, for messages; empty if none was configured.
    """

    repo: str
    branch: str = "main"
    subfolder: str = ""
    interval: float = 5.0
    depth: int = 1
    folder: Path = Path("/airflow/git")
    credentials: Path = Path("/etc/git-credentials")
    secret: str = ""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that the Deployment passes as variables."""
    return Settings(
        repo=environment["GIT_SYNC_REPO"],
        branch=environment["GIT_SYNC_BRANCH"],
        subfolder=environment.get("GIT_SYNC_SUBFOLDER", "").strip("/"),
        interval=float(environment["GIT_SYNC_INTERVAL"]),
        depth=int(environment["GIT_SYNC_DEPTH"]),
        folder=Path(environment.get("GIT_SYNC_FOLDER", "/airflow/git")),
        credentials=Path(environment.get("GIT_SYNC_CREDENTIALS", "/etc/git-credentials")),
        secret=environment.get("GIT_SYNC_SECRET", ""),
    )
