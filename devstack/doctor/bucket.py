"""Whether a bucket of MinIO can be used with given keys, for checks."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from devstack.doctor.check import REQUEST_TIMEOUT, NotApplicableError
from devstack.services.minio import REGION
from devstack.stack import Stack

_REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied")


@dataclass(frozen=True)
class Refused:
    """MinIO does not accept the keys.

    Attributes:
        reason: MinIO's message.
    """

    reason: str


def examine_bucket(stack: Stack, bucket: str, access_key: str, secret_key: str) -> bool | Refused:
    """Return whether a bucket exists, or that MinIO refuses the keys.

    Args:
        stack: the stack.
        bucket: the bucket's name.
        access_key: the user of MinIO.
        secret_key: its secret key.

    Raises:
        NotApplicableError: MinIO is reached through a port-forward, or does not respond.
    """
    if "minio" not in stack.state.mapped_ports:
        raise NotApplicableError("it is reached through a port-forward")
    import urllib3
    from minio import Minio
    from minio.error import MinioException, S3Error

    address = urlsplit(stack.outputs().environment["AWS_ENDPOINT_URL_S3"])
    store = Minio(
        endpoint=address.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=address.scheme == "https",
        region=REGION,
        http_client=urllib3.PoolManager(timeout=REQUEST_TIMEOUT, retries=False),
    )
    try:
        return bool(store.bucket_exists(bucket_name=bucket))
    except S3Error as error:
        if error.code not in _REFUSED:
            raise
        return Refused(error.message or error.code)
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise NotApplicableError("MinIO does not respond") from error
