"""What the keys of flows may do in MinIO: anything in their own buckets, little in the stack's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import botocore.exceptions
import pytest
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException

from tests.support.commandline import Devstack
from tests.support.datastore import BUCKET, s3

KEY = "test/rights"


@pytest.fixture
def client(stack: Devstack) -> Iterator[Any]:
    made = s3(stack)
    yield made
    made.delete_object(Bucket=BUCKET, Key=KEY)


def test_an_object_is_written_listed_read_and_deleted(client: Any) -> None:
    data = os.urandom(1000)
    client.put_object(Bucket=BUCKET, Key=KEY, Body=data)
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix=KEY)["Contents"]
    assert [item["Key"] for item in listed] == [KEY]
    assert client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == data
    client.delete_object(Bucket=BUCKET, Key=KEY)
    assert "Contents" not in client.list_objects_v2(Bucket=BUCKET, Prefix=KEY)


def test_a_multipart_upload_is_aborted(client: Any) -> None:
    upload = client.create_multipart_upload(Bucket=BUCKET, Key=KEY)["UploadId"]
    client.upload_part(Bucket=BUCKET, Key=KEY, UploadId=upload, PartNumber=1, Body=b"part")
    client.abort_multipart_upload(Bucket=BUCKET, Key=KEY, UploadId=upload)


def test_flows_create_buckets_and_do_anything_in_them(client: Any) -> None:
    client.create_bucket(Bucket="raw-data")
    client.put_object(Bucket="raw-data", Key="in/one", Body=b"1")
    assert client.get_object(Bucket="raw-data", Key="in/one")["Body"].read() == b"1"
    client.put_object_tagging(
        Bucket="raw-data", Key="in/one", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    )
    client.put_bucket_versioning(Bucket="raw-data", VersioningConfiguration={"Status": "Suspended"})
    names = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    assert names >= {BUCKET, "raw-data"}
    for version in client.list_object_versions(Bucket="raw-data").get("Versions", []):
        client.delete_object(Bucket="raw-data", Key="in/one", VersionId=version["VersionId"])
    client.delete_bucket(Bucket="raw-data")


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda s3: s3.delete_bucket(Bucket=BUCKET),
        lambda s3: s3.get_bucket_policy(Bucket=BUCKET),
        lambda s3: s3.put_bucket_versioning(
            Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
        ),
        lambda s3: s3.put_bucket_policy(Bucket=BUCKET, Policy="{}"),
        lambda s3: s3.put_bucket_lifecycle_configuration(
            Bucket=BUCKET,
            LifecycleConfiguration={
                "Rules": [{"ID": "a", "Prefix": "", "Status": "Enabled", "Expiration": {"Days": 1}}]
            },
        ),
    ],
    ids=["delete it", "read its policy", "version it", "change its policy", "expire its objects"],
)
def test_flows_may_not_change_the_stacks_bucket(
    client: Any, forbidden: Callable[[Any], Any]
) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        forbidden(client)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_flows_have_no_administrator_rights(stack: Devstack) -> None:
    given = stack.json("env")["data"]["environment"]
    keys = StaticProvider(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])
    endpoint = given["AWS_ENDPOINT_URL_S3"].removeprefix("http://")
    admin = MinioAdmin(endpoint=endpoint, credentials=keys, secure=False)
    with pytest.raises(MinioAdminException, match="AccessDenied"):
        admin.user_list()
