"""The volume outlived its pod, and both file systems in memory were mounted."""

from __future__ import annotations

from typing import Any

from devstack.samples.checks.result import CheckResult, same, within


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of storage."""
    data = run["end"].task.data
    return [
        same("the run succeeded", run.successful, True),
        same("the note has a text", len(data.note), 32),
        same("the next pod read the note", data.note_read, data.note),
        same("it was another pod", data.writer != data.reader, True),
        same("current.tempdir is in memory", data.tempdir_type, "tmpfs"),
        same("the file written there is complete", data.scratch_bytes, 8 * 2**20),
        same("/dev/shm is in memory", data.shm_type, "tmpfs"),
        within("/dev/shm has the requested size", data.shm_mebibytes, 47, 48),
        same("two processes shared memory", data.shared, 24 * 2**20),
        same("three pods ran", sorted(pod["step"] for pod in pods), ["memory", "read", "start"]),
    ]
