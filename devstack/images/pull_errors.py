"""Why an image cannot be pulled: the engine's message as an error with a next step.

The engine returns most failures as the status 500 with a text of its own, of the registry or of
Go's libraries, so errors are distinguished by their texts. They are those of Docker 20.10 to 29
with their two image stores; the tests list them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from devstack.errors import DevstackError, ExitStatus
from devstack.image_names import split_registry

BUILD = "build it from packages: devstack images build"
"""The last resort in most remedies."""
COPY = (
    "if HOST is a mirror, copy all platforms, since `docker push` changes the digest: "
    "skopeo copy --all docker://IMAGE docker://REFERENCE; or name its digests in a file for "
    "DEVSTACK_UPSTREAM_IMAGES"
)
"""What helps if a mirror lacks an image; IMAGE is the published one, REFERENCE the mirror's."""
HUB = "docker.io"
STALL_SECONDS = 120.0
"""How long a pull may make no progress before it is stopped."""


@dataclass(frozen=True)
class Fault:
    """A kind of failure.

    Attributes:
        code: the code of its error.
        pattern: what the engine's message contains, in lower case.
        cause: in one line; HOST is the registry.
        remedy: the next step; HOST is the registry, REFERENCE the image, and IMAGE what it is
            called without mirrors.
    """

    code: str
    pattern: str
    cause: str
    remedy: str


FAULTS = (
    Fault(
        "REGISTRY_RATE_LIMIT",
        r"toomanyrequests|too many requests|\b429\b|pull rate limit",
        "HOST limits how often images are pulled, and the limit is reached",
        "log in, which raises the limit: docker login HOST; or pull from a mirror: "
        "devstack up --mirror HOST=YOUR-MIRROR; or wait some hours",
    ),
    Fault(
        "DOCKER_DISK_FULL",
        r"no space left on device|disk quota exceeded|not enough space",
        "Docker's disk is full",
        "`docker system df` shows what uses it; `docker image prune`, `docker builder prune` and "
        "`devstack down` for stacks that you do not need free some; then run the command again",
    ),
    Fault(
        "IMAGE_PLATFORM",
        r"no matching manifest|no match for platform|does not match the specified platform|"
        r"cannot be used on this platform|image operating system",
        "HOST has no image for this processor",
        BUILD,
    ),
    Fault(
        "IMAGE_DIGEST_WRONG",
        r"verification failed|unexpected commit digest|digest mismatch|failed size validation|"
        r"unexpected digest|did not match",
        "what HOST sends does not have the digest that devstack expects",
        "a mirror or proxy alters images or has a damaged copy: remove the copy there; or " + BUILD,
    ),
    Fault(
        "REGISTRY_BLOCKED",
        r'": (?:forbidden|proxy authentication required|bad gateway|service unavailable)$|'
        r"proxy authentication required",
        "the engine's proxy does not let it reach HOST",
        "`docker info` shows the engine's proxy: let it pass HOST, with a login if it requires "
        "one; or pull from a mirror: devstack up --mirror HOST=YOUR-MIRROR; or " + BUILD,
    ),
    Fault(
        "REGISTRY_CREDENTIALS",
        r"error getting credentials|credentials store|docker-credential-",
        "the credential helper of Docker's configuration fails",
        'correct "credsStore" or "credHelpers" in ~/.docker/config.json, then docker login HOST',
    ),
    Fault(
        "REGISTRY_LOGIN",
        r"unauthorized|authentication required|no basic auth credentials|"
        r"(?<!permission )\bdenied\b|incorrect username or password|\b40[13]\b|"
        r"insufficient.scope|authorization failed",
        "HOST requires a login, or yours may not read it",
        "docker login HOST, then run the command again",
    ),
    Fault(
        "REGISTRY_CERTIFICATE",
        r"x509|certificate|tls: failed to verify|bad certificate",
        "the engine does not trust the certificate of HOST",
        "give the engine the CA of HOST: /etc/docker/certs.d/HOST/ca.crt on the engine's machine; "
        "with Docker Desktop, Colima and others add it to the system's CAs and restart the engine",
    ),
    Fault(
        "REGISTRY_PLAIN_HTTP",
        r"server gave http response to https client",
        "HOST speaks HTTP only",
        'add it to "insecure-registries" in the engine\'s daemon.json and restart the engine; '
        "better, give it a certificate",
    ),
    Fault(
        "IMAGE_NOT_PUBLISHED",
        r"manifest unknown|name unknown|not found|does not exist|repository name not known|"
        r"invalid repository name",
        "HOST does not have it",
        f"{COPY}; otherwise the image was removed: {BUILD}",
    ),
    Fault(
        "REGISTRY_UNREACHABLE",
        r"no such host|connection refused|network is unreachable|no route to host|i/o timeout|"
        r"client\.timeout|handshake timeout|server misbehaving|proxyconnect|deadline exceeded|"
        r"temporary failure in name resolution|request canceled while waiting|no answer within|"
        r"host is down|connection timed out",
        "the engine does not reach HOST",
        "check the network and the engine's proxy (`docker info`); or pull from a mirror: "
        "devstack up --mirror HOST=YOUR-MIRROR; or " + BUILD,
    ),
    Fault(
        "REGISTRY_INVALID",
        r"error parsing http|error unmarshalling|invalid character|unexpected content.?type|"
        r"media ?type",
        "something else than a registry answers as HOST, such as the login page of a network",
        "open https://HOST/v2/ in a browser on this machine, or check the engine's proxy "
        "(`docker info`); then run the command again",
    ),
    Fault(
        "REGISTRY_FAILED",
        r"unexpected http status|unexpected status|\b50[0234]\b|internal server error",
        "HOST has an internal error",
        "try again later, or pull from a mirror: devstack up --mirror HOST=YOUR-MIRROR",
    ),
    Fault(
        "PULL_INTERRUPTED",
        r"\beof\b|connection reset|broken pipe|expected http 206|unknown blob|stream error|"
        r"connection closed|use of closed|unexpected end|aborted|failed to read expected",
        "the connection to HOST broke, and the engine's retries failed",
        "run the command again: complete layers are kept",
    ),
)
"""In the order in which a message is compared with them."""
OTHER = Fault("IMAGE_PULL_REJECTED", "", "the engine rejects it", BUILD)
STALLED = Fault(
    "PULL_STALLED",
    "",
    f"nothing arrived from HOST for {STALL_SECONDS:.0f} s",
    "check the network and the engine's proxy, then run the command again: complete layers are "
    "kept",
)


NO_SPACE = next(fault for fault in FAULTS if fault.code == "DOCKER_DISK_FULL")
OTHER_PLATFORM = next(fault for fault in FAULTS if fault.code == "IMAGE_PLATFORM")
OF_MIRROR = ("REGISTRY_LOGIN", "REGISTRY_CREDENTIALS", "REGISTRY_CERTIFICATE")
"""The faults of a mirror that its user corrects, rather than have everything built."""


def find_fault(message: str) -> Fault:
    """Return the kind of failure that a message of the engine reports."""
    text = message.lower()
    return next((fault for fault in FAULTS if re.search(fault.pattern, text)), OTHER)


def cannot_pull(
    reference: str, message: str, fault: Fault | None = None, published: str = ""
) -> DevstackError:
    """Return the error for an image that cannot be pulled.

    Args:
        reference: the image, as it was to be pulled.
        message: the engine's message.
        fault: the kind of failure; by default the one that ``message`` reports.
        published: the image as it is published, if ``reference`` is that of a mirror.
    """
    fault = fault or find_fault(message)
    registry = split_registry(reference)[0]
    # `docker login docker.io` is not what Docker's documentation recommends, and works.
    return DevstackError(
        f"cannot pull the image {reference}",
        cause=fault.cause.replace("HOST", registry),
        remedy=fault.remedy.replace("HOST", registry)
        .replace("REFERENCE", reference.partition("@")[0])
        .replace("IMAGE ", f"{published or reference} "),
        code=fault.code,
        exit_status=ExitStatus.ENVIRONMENT,
        output=message,
    )


def combine(errors: Sequence[DevstackError]) -> DevstackError:
    """Return one error for several, with each cause once, and the code of the first."""
    causes = {(each.code, each.cause or each.message): each for each in reversed(errors)}
    distinct = list(causes.values())[::-1]
    if len(distinct) == 1:
        return distinct[0]
    return DevstackError(
        f"cannot get {len(errors)} images",
        cause="; ".join(str(each) for each in distinct),
        remedy="; ".join(dict.fromkeys(each.remedy for each in distinct if each.remedy)),
        code=distinct[0].code,
        exit_status=distinct[0].exit_status,
        output="\n".join(each.output for each in distinct if each.output),
    )
