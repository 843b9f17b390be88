"""How git-sync classifies what git and ssh report."""

from __future__ import annotations

import pytest
from git_sync.failures import failure_of


@pytest.mark.parametrize(
    ("output", "code", "reason"),
    [
        (
            "@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@\n"
            "Host key verification failed.\nfatal: Could not read from remote repository.",
            "HOST_KEY_CHANGED",
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
        ),
        (
            "No ED25519 host key is known for git.example and you have requested strict checking.\n"
            "Host key verification failed.",
            "HOST_KEY_UNKNOWN",
            "No ED25519 host key is known for git.example and you have requested strict checking",
        ),
        (
            "git@git.example: Permission denied (publickey).\nfatal: Could not read from remote",
            "UNAUTHORISED",
            "git@git.example: Permission denied (publickey)",
        ),
        (
            "fatal: unable to access 'https://git.example/': SSL certificate problem: self-signed",
            "CERTIFICATE_UNKNOWN",
            "unable to access 'https://git.example/': SSL certificate problem: self-signed",
        ),
        (
            "fatal: unable to access 'https://git.example/': Could not resolve host: git.example",
            "UNREACHABLE",
            "unable to access 'https://git.example/': Could not resolve host: git.example",
        ),
        ("warning: odd\nfatal: something new", "GIT_FAILED", "something new"),
        ("", "GIT_FAILED", "git gave no reason"),
    ],
)
def test_messages_of_git_are_classified(output: str, code: str, reason: str) -> None:
    found = failure_of(output)
    assert (found.code, found.reason) == (code, reason)
