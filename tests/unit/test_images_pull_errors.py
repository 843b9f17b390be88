"""What the engine says if an image cannot be pulled, and which error it becomes."""

from __future__ import annotations

import pytest

from devstack.images.pull_errors import STALLED, cannot_pull, find_fault

DIGEST = "sha256:" + "a" * 64
RECORDED = {
    # Docker 20.10.24, from real pulls of a registry on this machine.
    "manifest unknown": "IMAGE_NOT_PUBLISHED",
    "name unknown": "IMAGE_NOT_PUBLISHED",
    "toomanyrequests: You have reached your pull rate limit. You may increase the limit by "
    "authenticating and upgrading: https://www.docker.com/increase-rate-limit": (
        "REGISTRY_RATE_LIMIT"
    ),
    "error parsing HTTP 429 response body: invalid character 'T' looking for beginning of value: "
    '"Too Many Requests"': "REGISTRY_RATE_LIMIT",
    "unauthorized": "REGISTRY_LOGIN",
    "denied": "REGISTRY_LOGIN",
    "received unexpected HTTP status: 500 Internal Server Error": "REGISTRY_FAILED",
    "received unexpected HTTP status: 503 Service Unavailable": "REGISTRY_FAILED",
    "error unmarshalling content: invalid character '<' looking for beginning of value": (
        "REGISTRY_INVALID"
    ),
    "no matching manifest for linux/amd64 in the manifest list entries": "IMAGE_PLATFORM",
    f"manifest verification failed for digest {DIGEST}": "IMAGE_DIGEST_WRONG",
    f"filesystem layer verification failed for digest {DIGEST}": "IMAGE_DIGEST_WRONG",
    "unknown blob": "PULL_INTERRUPTED",
    "expected HTTP 206 from byte range request": "PULL_INTERRUPTED",
    'Get "https://192.0.2.2:5998/v2/": x509: certificate signed by unknown authority': (
        "REGISTRY_CERTIFICATE"
    ),
    'Get "http://127.0.0.1:5997/v2/": dial tcp 127.0.0.1:5997: connect: connection refused': (
        "REGISTRY_UNREACHABLE"
    ),
    'Get "https://quay.io/v2/": dial tcp: lookup quay.io on 10.0.0.53:53: no such host': (
        "REGISTRY_UNREACHABLE"
    ),
    # From reports about other releases, and sources of Docker and containerd.
    "pull access denied for team/app, repository does not exist or may require 'docker login': "
    "denied: requested access to the resource is denied": "REGISTRY_LOGIN",
    'Get "https://registry.corp/v2/": no basic auth credentials': "REGISTRY_LOGIN",
    'Get "https://registry.corp:5000/v2/": http: server gave HTTP response to HTTPS client': (
        "REGISTRY_PLAIN_HTTP"
    ),
    'Get "https://registry-1.docker.io/v2/": net/http: request canceled while waiting for '
    "connection (Client.Timeout exceeded while awaiting headers)": "REGISTRY_UNREACHABLE",
    'Get "https://quay.io/v2/": net/http: TLS handshake timeout': "REGISTRY_UNREACHABLE",
    'Get "https://quay.io/v2/": proxyconnect tcp: dial tcp 10.0.0.1:3128: i/o timeout': (
        "REGISTRY_UNREACHABLE"
    ),
    "write /var/lib/docker/tmp/GetImageBlob1: no space left on device": "DOCKER_DISK_FULL",
    "failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x: no "
    "space left on device": "DOCKER_DISK_FULL",
    "failed to resolve reference docker.io/library/x:1: docker.io/library/x:1: not found": (
        "IMAGE_NOT_PUBLISHED"
    ),
    "failed to copy: httpReadSeeker: failed open: unexpected status code "
    "https://registry-1.docker.io/v2/library/x/blobs/y: 429 Too Many Requests": (
        "REGISTRY_RATE_LIMIT"
    ),
    f'failed commit on ref "layer-x": unexpected commit digest {DIGEST}, expected x: failed '
    "precondition": "IMAGE_DIGEST_WRONG",
    "no match for platform in manifest: not found": "IMAGE_PLATFORM",
    'error getting credentials - err: exec: "docker-credential-desktop": executable file not '
    "found in $PATH": "REGISTRY_CREDENTIALS",
    "unexpected EOF": "PULL_INTERRUPTED",
    "read tcp 10.0.0.2:5112->10.0.0.3:443: read: connection reset by peer": "PULL_INTERRUPTED",
    "something new": "IMAGE_UNAVAILABLE",
}


@pytest.mark.parametrize(("message", "code"), RECORDED.items())
def test_a_message_of_the_engine_has_its_code(message: str, code: str) -> None:
    assert find_fault(message).code == code


@pytest.mark.parametrize(("message", "code"), RECORDED.items())
def test_every_error_names_the_image_its_cause_and_the_next_step(message: str, code: str) -> None:
    reference = f"registry.corp:5000/hub/kindest/node@{DIGEST}"
    error = cannot_pull(reference, message)
    assert reference in error.message
    assert error.code == code
    assert error.cause
    assert error.remedy
    assert error.output == message
    assert "HOST" not in error.cause + error.remedy


def test_the_command_of_a_remedy_names_the_registry() -> None:
    error = cannot_pull("quay.io/minio/minio:1", "unauthorized")
    assert error.remedy.startswith("docker login quay.io")
    error = cannot_pull("minio/minio:1", "x509: certificate signed by unknown authority")
    assert "/etc/docker/certs.d/docker.io/ca.crt" in error.remedy


def test_a_pull_without_progress_has_a_code_of_its_own() -> None:
    error = cannot_pull("quay.io/minio/minio:1", "", STALLED)
    assert (error.code, error.cause) == ("PULL_STALLED", "nothing arrived from quay.io for 120 s")
