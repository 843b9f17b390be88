"""What keeps git-sync from serving the latest commit: codes, meanings and remedies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devstack.services.git_sync import GitStatus

_LOGIN = "the Secret that [airflow.git] names as `secret`"


@dataclass(frozen=True)
class GitProblem:
    """A problem that git-sync reports.

    Attributes:
        meaning: for the documentation.
        remedy: what to do about it.
    """

    meaning: str
    remedy: str


PROBLEMS: Mapping[str, GitProblem] = {
    "UNREACHABLE": GitProblem(
        "The Git repository of DAG files cannot be reached; the last commit is still served.",
        "Check `repo` in [airflow.git], and the server; `devstack logs git-sync`.",
    ),
    "UNAUTHORISED": GitProblem(
        "The Git server refuses the login, or the Secret with it is missing.",
        f"Check {_LOGIN}: username and password, or ssh-privatekey and known_hosts.",
    ),
    "HOST_KEY_UNKNOWN": GitProblem(
        "The Git server's SSH key is not among the known ones.",
        f"Add it to known_hosts of {_LOGIN}: ssh-keyscan HOST, then compare the fingerprint.",
    ),
    "HOST_KEY_CHANGED": GitProblem(
        "The Git server has another SSH key than the known one.",
        f"If its operator confirms the new key, replace it in known_hosts of {_LOGIN}.",
    ),
    "CERTIFICATE_UNKNOWN": GitProblem(
        "The certificate of the Git server is from an unknown authority.",
        f"Put the authority's certificate into {_LOGIN} as ca.crt, or use SSH.",
    ),
    "REPOSITORY_MISSING": GitProblem(
        "The Git server has no such repository, or hides it from this login.",
        f"Check `repo` in [airflow.git], and {_LOGIN}.",
    ),
    "BRANCH_MISSING": GitProblem(
        "The Git repository has no such branch; the last commit is still served.",
        "Push the branch, or change `branch` in [airflow.git].",
    ),
    "SUBFOLDER_MISSING": GitProblem(
        "The latest commit has no such folder; the one before is still served.",
        "Push a commit with the folder, or change `subfolder` in [airflow.git].",
    ),
    "DISK_FULL": GitProblem(
        "Airflow's volume is full, so that no commit can be checked out.",
        "Delete what is not needed on the volume of the namespace airflow.",
    ),
    "VOLUME_UNUSABLE": GitProblem(
        "Files cannot be written to Airflow's volume, or read from it.",
        "Check the volume of the namespace airflow: rights, read-only mounts, disk errors; "
        "`devstack logs git-sync`.",
    ),
    "GIT_FAILED": GitProblem(
        "git fails for another reason.",
        "`devstack logs git-sync`.",
    ),
}
"""The problems by the code that git-sync reports."""

STOPPED = GitProblem(
    "git-sync has stopped to report what it does.",
    "`devstack logs git-sync`; `devstack up` restarts it.",
)


def problem_of(status: GitStatus) -> GitProblem | None:
    """Return the problem of a status; None if commits are served as they should."""
    if status.is_stale:
        return STOPPED
    if status.state != "failed":
        return None
    return PROBLEMS.get(status.code, PROBLEMS["GIT_FAILED"])
