"""What the engine says if an image cannot be pulled, and which error it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.images.pull_errors import (
    FAULTS,
    NO_SPACE,
    OTHER,
    STALLED,
    cannot_pull,
    combine,
    find_fault,
)

ROOT = Path(__file__).parents[2]

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
    "something new": "IMAGE_PULL_REJECTED",
    "open /var/lib/docker/tmp/GetImageBlob1: permission denied": "IMAGE_PULL_REJECTED",
    # The status of a proxy's answer to CONNECT is all that Go reports.
    'Get "https://registry-1.docker.io/v2/": Forbidden': "REGISTRY_BLOCKED",
    'Get "https://registry-1.docker.io/v2/": Proxy Authentication Required': "REGISTRY_BLOCKED",
    'Get "https://quay.io/v2/": Bad Gateway': "REGISTRY_BLOCKED",
    'Get "https://quay.io/v2/": Service Unavailable': "REGISTRY_BLOCKED",
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


def test_a_copy_in_a_mirror_keeps_the_digest() -> None:
    """`docker push` copies one platform, which has another digest."""
    published = f"docker.io/kindest/node@{DIGEST}"
    place = f"registry.corp:5000/hub/kindest/node@{DIGEST}"
    error = cannot_pull(place, "manifest unknown", published=published)
    copy = f"skopeo copy --all docker://{published} docker://registry.corp:5000/hub/kindest/node"
    assert f"{copy};" in error.remedy
    assert "DEVSTACK_UPSTREAM_IMAGES" in error.remedy


def test_a_full_disk_is_no_reason_to_remove_stopped_stacks() -> None:
    assert "system prune" not in NO_SPACE.remedy


def test_all_codes_are_documented() -> None:
    for page in ("docs/registries.md", "CHANGELOG.md"):
        text = (ROOT / page).read_text()
        assert [
            each.code for each in (*FAULTS, OTHER, STALLED) if f"`{each.code}`" not in text
        ] == []


def test_several_errors_are_reported_together() -> None:
    login = cannot_pull("registry.corp/a:1", "unauthorized")
    again = cannot_pull("registry.corp/b:1", "unauthorized")
    missing = cannot_pull("quay.io/c:1", "manifest unknown")
    error = combine([login, again, missing])
    assert error.code == "REGISTRY_LOGIN"
    assert "registry.corp/a:1" in error.cause
    assert "quay.io/c:1" in error.cause
    assert "docker login registry.corp" in error.remedy
    assert "skopeo" in error.remedy
    assert combine([login, again]) is login


def test_a_pull_without_progress_has_a_code_of_its_own() -> None:
    error = cannot_pull("quay.io/minio/minio:1", "", STALLED)
    assert (error.code, error.cause) == ("PULL_STALLED", "nothing arrived from quay.io for 120 s")
