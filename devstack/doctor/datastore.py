"""The check of the datastore, as flows use it: their keys and their bucket."""

from __future__ import annotations

from devstack.doctor.bucket import Refused, examine_bucket
from devstack.doctor.check import Check, Fault, Finding
from devstack.services.minio import BUCKET
from devstack.stack import Stack


def _datastore(stack: Stack) -> list[Finding]:
    environment = stack.outputs().environment
    keys = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    found = examine_bucket(stack, BUCKET, *keys)
    if isinstance(found, Refused):
        cause = f"MinIO refuses the keys of flows: {found.reason}"
        return [Finding(cause, "devstack up sets them again", "KEYS_REJECTED")]
    if found:
        return []
    cause = f"the bucket {BUCKET!r} of the datastore does not exist"
    return [Finding(cause, "devstack up creates it", "BUCKET_MISSING")]


DATASTORE_CHECKS = (
    Check(
        "datastore",
        "flows can use the datastore's bucket",
        _datastore,
        (
            Fault(
                "KEYS_REJECTED",
                "MinIO does not accept the keys that flows have.",
                "`devstack up` sets them again.",
            ),
            Fault(
                "BUCKET_MISSING",
                "The bucket was deleted, with all artifacts.",
                "`devstack up` creates it, empty.",
            ),
        ),
        needs_stack=True,
    ),
)
