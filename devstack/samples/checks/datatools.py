"""The bytes that one pod stored are those that another, and this machine, read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from devstack.samples.checks.result import CheckResult, same

MIN_BYTES = 100 * 1000 * 1000


def check(run: Any, pods: list[dict[str, Any]]) -> list[CheckResult]:
    """Check a run of datatools; reads all of its objects."""
    data = run["end"].task.data
    here, size = _read_here(run)
    return [
        same("the run succeeded", run.successful, True),
        same("there are four different parts", len(set(data.checksums.values())), 4),
        same("another pod read the same bytes", data.received, data.checksums),
        same("this machine reads the same bytes", here, data.checksums),
        same("it was 100 MB or more", size >= MIN_BYTES, True),
        same("two pods ran", sorted(pod["step"] for pod in pods), ["read", "start"]),
    ]


def _read_here(run: Any) -> tuple[dict[str, str], int]:
    from metaflow import S3

    with S3(run=run) as s3:
        parts = s3.get_all()
        sums = {part.key: _checksum(Path(part.path)) for part in parts}
        return sums, sum(part.size for part in parts)


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
