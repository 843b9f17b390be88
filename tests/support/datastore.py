"""The stack's S3 datastore as a user's program reaches it: by `devstack env` and boto3."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.config
import botocore.exceptions

from tests.support.commandline import Devstack

BUCKET = "metaflow"


def s3(stack: Devstack) -> Any:
    """Return boto3's client with the settings that `devstack env` prints."""
    environment = stack.json("env")["data"]["environment"]
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
        config=botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=3),
    )


def write(stack: Devstack, key: str, text: str) -> None:
    """Put an object into the bucket of flows."""
    s3(stack).put_object(Bucket=BUCKET, Key=key, Body=text.encode())


def read(stack: Devstack, key: str) -> str:
    """Return an object of the bucket of flows."""
    body = s3(stack).get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return str(body.decode())


def serves(stack: Devstack) -> bool:
    """Return True if the bucket can be listed."""
    try:
        s3(stack).list_objects_v2(Bucket=BUCKET)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        return False
    return True
