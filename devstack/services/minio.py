"""MinIO, the S3 datastore of flows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from devstack.errors import DevstackError
from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services.base import (
    HostPort,
    Manifest,
    Outputs,
    Service,
    ServiceContext,
    ServiceUnreachableError,
)
from devstack.services.http_probe import answers
from devstack.services.init_script import INIT_SCRIPT
from devstack.waits import Observation, Ready, Waiting

if TYPE_CHECKING:
    from minio import Minio, MinioAdmin

NAMESPACE = "devstack"
BUCKET = "metaflow"
DATASTORE = "metaflow"
"""The folder of Metaflow's datastore in the bucket."""

TASK_SECRET = "metaflow-s3"  # noqa: S105 - the Secret's name
"""The Secret with the datastore's address and keys for task pods."""

ROOT_SECRET = "minio-root"  # noqa: S105 - the Secret's name
ENDPOINT_IN_CLUSTER = f"http://minio.{NAMESPACE}.svc.cluster.local:9000"
REGION = "us-east-1"
METADATA_ATTEMPTS = "7"
"""How often Metaflow tries a request to the metadata service: one minute in total.

Its default of five tries takes 15 seconds, in which a lost pod may not be replaced.
"""

CONNECT_ATTEMPTS = 10
"""A ready pod is not reachable at once: kube-proxy follows a moment later."""

_ROOT_USER = "devstack-root"
_FLOW_USER = "metaflow"
_POLICY = "metaflow-bucket"

_BUCKET_ACTIONS = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
_OBJECT_ACTIONS = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
_CHANGES_OF_BUCKETS = (
    "s3:DeleteBucket",
    "s3:ForceDeleteBucket",
    "s3:GetBucketPolicy",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketNotification",
    "s3:PutBucketTagging",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
)
"""What flows may do to their own buckets, and not to the stack's."""


class MinioService(Service):
    """The object store, its bucket, and a user for flows, who may create more buckets."""

    name = "minio"
    about = "S3 datastore, with a bucket and random credentials"
    needs = ("rbac",)
    images = ("minio",)
    samples = ("datatools",)
    host_ports = (
        HostPort("minio", 9000, 30900, f"{NAMESPACE}/minio:9000", "MinIO (S3)"),
        HostPort("minio-console", 9001, 30901, f"{NAMESPACE}/minio:9001", "MinIO console"),
    )

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/minio and its two Secrets with random keys."""
        namespace, *objects = manifests.load(self.name)
        root = {
            "MINIO_ROOT_USER": _ROOT_USER,
            "MINIO_ROOT_PASSWORD": ctx.state.credential("minio-root"),
        }
        secrets = [
            manifests.secret(ROOT_SECRET, NAMESPACE, root),
            manifests.secret(TASK_SECRET, ctx.state.namespace, _task_secret(ctx)),
        ]
        objects = manifests.with_images(objects, ctx.state.images)
        return [namespace, *secrets, *manifests.with_restarts(objects, root)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether MinIO accepts requests, also from the host if its port is mapped."""
        observation = observe_deployment(ctx.api, NAMESPACE, "minio")
        if (
            not isinstance(observation, Ready)
            or not ctx.is_mapped("minio")
            or answers(ctx.state.ports.get("minio", 0), "/minio/health/ready")
        ):
            return observation
        return Waiting(f"MinIO does not respond on {_url(ctx, 'minio')} yet")

    def prepare(self, ctx: ServiceContext) -> None:
        """Create the bucket and the user of flows; idempotent.

        Raises:
            ServiceUnreachableError: ``MINIO_UNREACHABLE``.
            DevstackError: ``MINIO_REFUSED``.
        """
        _set_up(ctx, BUCKET, _POLICY, _policy(), _FLOW_USER, ctx.state.credential("minio-metaflow"))

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return Metaflow's datastore settings, and the keys for processes on the host."""
        root = f"s3://{BUCKET}"
        return Outputs(
            metaflow={
                "METAFLOW_DEFAULT_DATASTORE": "s3",
                "METAFLOW_DEFAULT_METADATA": "local",
                "METAFLOW_DATASTORE_SYSROOT_S3": f"{root}/{DATASTORE}",
                "METAFLOW_DATATOOLS_S3ROOT": f"{root}/data",
                "METAFLOW_KUBERNETES_SECRETS": TASK_SECRET,
            },
            environment={**_keys(ctx), "AWS_ENDPOINT_URL_S3": _url(ctx, "minio")},
            urls={"minio": _url(ctx, "minio"), "minio-console": _url(ctx, "minio-console")},
            secrets={
                "minio-user": _ROOT_USER,
                "minio-password": ctx.state.credential("minio-root"),
            },
        )


def ensure_bucket(ctx: ServiceContext, bucket: str, secret_key: str) -> None:
    """Create a bucket and a user of the same name who may use it and no other; idempotent.

    Args:
        ctx: the stack; MinIO must be ready.
        bucket: the name of bucket, user and access key.
        secret_key: the user's.

    Raises:
        ServiceUnreachableError: ``MINIO_UNREACHABLE``.
        DevstackError: ``MINIO_REFUSED``.
    """
    policy = _allow(_of_bucket(bucket))
    _set_up(ctx, bucket, f"{bucket}-bucket", policy, bucket, secret_key)


def delete_object(ctx: ServiceContext, name: str) -> None:
    """Delete an object of the flows' bucket; do nothing if there is none.

    Args:
        ctx: the stack; MinIO must be ready.
        name: the object.

    Raises:
        ServiceUnreachableError: ``MINIO_UNREACHABLE``.
        DevstackError: ``MINIO_REFUSED``.
    """
    store, _admin = _connect(ctx)
    with _errors_of(ctx, f"cannot delete {name} in MinIO"):
        store.remove_object(bucket_name=BUCKET, object_name=name)


def _set_up(
    ctx: ServiceContext,
    bucket: str,
    name: str,
    policy: Mapping[str, Any],
    user: str,
    secret_key: str,
) -> None:
    store, admin = _connect(ctx)
    with _errors_of(ctx, f"cannot set up the bucket {bucket} in MinIO"):
        if not store.bucket_exists(bucket_name=bucket):
            store.make_bucket(bucket_name=bucket)
        admin.policy_add(name, policy=dict(policy))
        admin.user_add(user, secret_key)
        admin.policy_set(name, user=user)


@contextmanager
def _errors_of(ctx: ServiceContext, message: str) -> Iterator[None]:
    """Raise MinIO's errors as those of :func:`ensure_bucket`."""
    import urllib3
    from minio.error import MinioException

    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        raise _unreachable(ctx, str(error)) from error
    except MinioException as error:
        raise DevstackError(
            message,
            cause=str(error),
            remedy="devstack logs minio",
            code="MINIO_REFUSED",
        ) from error


def _keys(ctx: ServiceContext) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": _FLOW_USER,
        "AWS_SECRET_ACCESS_KEY": ctx.state.credential("minio-metaflow"),
        "AWS_DEFAULT_REGION": REGION,
    }


def pod_environment(ctx: ServiceContext) -> dict[str, str]:
    """Return the variables of S3 clients in the cluster: endpoint, region and keys."""
    return {**_keys(ctx), "AWS_ENDPOINT_URL_S3": ENDPOINT_IN_CLUSTER}


def _task_secret(ctx: ServiceContext) -> dict[str, str]:
    return {
        **pod_environment(ctx),
        "METAFLOW_INIT_SCRIPT": INIT_SCRIPT,
        # Metaflow passes the metadata service's address to pods, but not this setting.
        "METAFLOW_SERVICE_RETRY_COUNT": METADATA_ATTEMPTS,
    }


def _url(ctx: ServiceContext, port: str) -> str:
    return f"http://{LOOPBACK}:{ctx.state.ports.get(port, 0)}"


def _connect(ctx: ServiceContext) -> tuple[Minio, MinioAdmin]:
    """Return clients that connect to the host's port as MinIO's administrator."""
    import urllib3
    from minio import Minio, MinioAdmin
    from minio.credentials.providers import StaticProvider

    endpoint = f"{LOOPBACK}:{ctx.state.ports['minio']}"
    keys = StaticProvider(_ROOT_USER, ctx.state.credential("minio-root"))
    retries = urllib3.Retry(
        total=CONNECT_ATTEMPTS, backoff_factor=0.1, backoff_max=2, status_forcelist=[503]
    )
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(10), retries=retries)
    store = Minio(
        endpoint=endpoint, credentials=keys, secure=False, region=REGION, http_client=pool
    )
    admin = MinioAdmin(
        endpoint=endpoint, credentials=keys, secure=False, region=REGION, http_client=pool
    )
    return store, admin


def _policy() -> dict[str, Any]:
    """Return the policy of flows.

    In the stack's bucket they may do what Metaflow does. Buckets that they create are theirs.
    Managing users, policies and MinIO itself are administrative actions, which none of these is.
    """
    return _allow(
        (
            *_of_bucket(BUCKET),
            _statement("Allow", ("s3:*",), "arn:aws:s3:::*"),
            _statement("Deny", _CHANGES_OF_BUCKETS, f"arn:aws:s3:::{BUCKET}"),
        )
    )


def _of_bucket(bucket: str) -> tuple[dict[str, Any], ...]:
    """Return the statements of users who read, write and delete objects of a bucket."""
    resource = f"arn:aws:s3:::{bucket}"
    return (
        _statement("Allow", _BUCKET_ACTIONS, resource),
        _statement("Allow", _OBJECT_ACTIONS, f"{resource}/*"),
    )


def _allow(statements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _statement(effect: str, actions: Sequence[str], resource: str) -> dict[str, Any]:
    return {"Effect": effect, "Action": list(actions), "Resource": [resource]}


def _unreachable(ctx: ServiceContext, cause: str) -> ServiceUnreachableError:
    return ServiceUnreachableError(
        f"cannot reach MinIO at {_url(ctx, 'minio')}",
        cause=cause,
        remedy="devstack logs minio; devstack status shows whether its port is mapped",
        code="MINIO_UNREACHABLE",
    )
