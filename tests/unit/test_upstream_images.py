"""scripts/check-upstream-images, with registries that answer anything."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable

import pytest

from devstack.images.mirrors import Mirrors
from scripts.upstream_images import Registries

TAG = json.dumps({"manifests": []}).encode()
TABLE = {"reference": "quay.io/minio/minio:1", "digest": "sha256:" + "a" * 64}


def _time_out() -> bytes:
    raise subprocess.TimeoutExpired("skopeo", 60)


@pytest.mark.parametrize("answer", [_time_out, lambda: b"<html>", lambda: b"{}", lambda: b"[]"])
def test_a_listed_digest_that_cannot_be_read_is_a_fault_of_its_image(
    answer: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are in the table, too."""

    def manifest(_: Registries, reference: str, *_options: str) -> bytes:
        return answer() if "@" in reference else TAG

    monkeypatch.setattr(Registries, "_inspect", manifest)
    found = Registries(Mirrors(), []).find(TABLE)
    assert found.faults[0] == f"the tag moved to sha256:{hashlib.sha256(TAG).hexdigest()}"
    assert "the listed digest cannot be read" in found.faults[1]
