"""The check of the datastore, as flows use it: their keys and their bucket."""

from __future__ import annotations

from urllib.parse import urlsplit

from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.services.minio import BUCKET, REGION
from devstack.stack import Stack

_REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied")


def _datastore(stack: Stack) -> list[Finding]:
    if "minio" not in stack.state.mapped_ports:
        raise NotApplicableError("it is reached through a port-forward")
    import urllib3
    from minio.error import MinioException, S3Error

    try:
        exists = _bucket_exists(stack)
    except S3Error as error:
        if error.code not in _REFUSED:
            raise
        cause = f"MinIO refuses the keys of flows: {error.message or error.code}"
        return [Finding(cause, "devstack up sets them again", "KEYS_REJECTED")]
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise NotApplicableError("MinIO does not respond") from error
    if exists:
        return []
    cause = f"the bucket {BUCKET!r} of the datastore does not exist"
    return [Finding(cause, "devstack up creates it", "BUCKET_MISSING")]


def _bucket_exists(stack: Stack) -> bool:
    import urllib3
    from minio import Minio

    environment = stack.outputs().environment
    address = urlsplit(environment["AWS_ENDPOINT_URL_S3"])
    store = Minio(
        endpoint=address.netloc,
        access_key=environment["AWS_ACCESS_KEY_ID"],
        secret_key=environment["AWS_SECRET_ACCESS_KEY"],
        secure=address.scheme == "https",
        region=REGION,
        http_client=urllib3.PoolManager(timeout=REQUEST_TIMEOUT, retries=False),
    )
    return bool(store.bucket_exists(bucket_name=BUCKET))


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
