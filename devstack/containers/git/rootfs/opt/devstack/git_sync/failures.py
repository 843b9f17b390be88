"""Why a repository cannot be followed: a stable code and a reason, from what git printed."""

from __future__ import annotations

import re

HOST_KEY_CHANGED = "HOST_KEY_CHANGED"
HOST_KEY_UNKNOWN = "HOST_KEY_UNKNOWN"
UNAUTHORISED = "UNAUTHORISED"
REPOSITORY_MISSING = "REPOSITORY_MISSING"
UNREACHABLE = "UNREACHABLE"
CERTIFICATE_UNKNOWN = "CERTIFICATE_UNKNOWN"
REPOSITORY_EMPTY = "REPOSITORY_EMPTY"
BRANCH_MISSING = "BRANCH_MISSING"
SUBFOLDER_MISSING = "SUBFOLDER_MISSING"
DISK_FULL = "DISK_FULL"
OTHER = "GIT_FAILED"

# In this order: a refused host key is also reported as an unreachable repository.
_PATTERNS = (
    (HOST_KEY_CHANGED, r"REMOTE HOST IDENTIFICATION HAS CHANGED"),
    (HOST_KEY_UNKNOWN, r"Host key verification failed|host key is known"),
    (
        UNAUTHORISED,
        r"Authentication failed|could not read (Username|Password)|Permission denied \("
        r"|returned error: 40[13]|invalid credentials|Access denied|Load key .*(error|invalid)",
    ),
    (
        REPOSITORY_MISSING,
        r"repository .* not found|returned error: 404|does not appear to be a git repository"
        r"|Repository not found|valid repository name",
    ),
    (CERTIFICATE_UNKNOWN, r"SSL certificate|certificate verif|server verification failed"),
    (DISK_FULL, r"No space left on device"),
    (
        UNREACHABLE,
        r"Could not resolve|Name or service not known|Failed to connect|Connection (refused|reset"
        r"|timed out|closed)|Couldn't connect|timed out|No route to host|Network is unreachable"
        r"|returned error: 5\d\d|unable to access|remote end hung up|early EOF|RPC failed"
        r"|Empty reply|unexpected disconnect|Operation too slow|invalid server response",
    ),
)
_NOISE = re.compile(r"^(fatal|error|remote|warning):\s*", re.MULTILINE)


class SyncError(Exception):
    """The latest commit of the branch cannot be served.

    Args:
        code: one of the codes above.
        reason: what to show to users.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def failure_of(output: str) -> SyncError:
    """Return the failure that git reports.

    Args:
        output: what git and ssh wrote to standard error, in English.
    """
    text = output.strip()
    code, position = OTHER, len(text)
    for name, pattern in _PATTERNS:
        if found := re.search(pattern, text):
            code, position = name, found.start()
            break
    return SyncError(code, _reason(text, position))


def _reason(text: str, position: int) -> str:
    """Return the line with the reason, without git's prefixes."""
    start = text.rfind("\n", 0, position) + 1
    line = text[start:].partition("\n")[0]
    if position == len(text):
        # What it cannot classify ends with the reason.
        lines = [each for each in text.splitlines() if each.strip()]
        line = lines[-1] if lines else "git gave no reason"
    return _NOISE.sub("", line).strip(" @.\r") or "git gave no reason"
