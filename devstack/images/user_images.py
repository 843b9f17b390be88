"""Images of users: from Docker, from a file or built from a Dockerfile, as an archive."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devstack.docker.client import DockerClient, Present
from devstack.docker.podman_client import engine_client
from devstack.errors import DevstackError, ExitStatus
from devstack.image_names import familiar, is_reference
from devstack.images.archive_reader import ImageArchive, read_archive, unreadable
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.base_images import pull_base_images
from devstack.images.catalogue import IMAGES
from devstack.images.mirrors import Mirrors
from devstack.process import Runner
from devstack.progress import Progress

DEFAULT_TAG = "dev"
"""The tag of an image built from a Dockerfile: Kubernetes treats `latest` differently."""

BUILT_IN = "devstack/"
KUBERNETES = "registry.k8s.io/"
_TAR_ENDINGS = (".tar", ".tgz", ".tar.gz")
_OTHER_ENDINGS = (".tar.zst", ".tar.xz", ".tar.bz2")
_TAR, _GZIP = b"ustar", b"\x1f\x8b"
_OTHER_STARTS = (b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh")
"""How files compressed by zstd, xz and bzip2 begin."""

MOST_NAMES = 100
"""More names than these are compared with a list of all images before Docker is asked for each."""


@dataclass(frozen=True)
class UserImage:
    """What a user named.

    Attributes:
        reference: the image's name; empty for an archive that is not read yet.
        archive: the archive of images, or None.
        build_file: the Dockerfile, or None.
    """

    reference: str = ""
    archive: Path | None = None
    build_file: Path | None = None


def find_user_image(argument: str, name: str = "") -> UserImage:
    """Return what an argument of `devstack images add` means.

    A file is an archive or a Dockerfile; so is a folder with a Dockerfile that is named as a
    path (``./app``). Everything else is the name of an image.

    Args:
        argument: what the user typed.
        name: the image's name for an archive or a Dockerfile; by default the archive's own, or
            the Dockerfile's folder.

    Raises:
        DevstackError: ``IMAGE_FILE_MISSING``, ``IMAGE_FILE_INVALID``, ``IMAGE_NAME_INVALID`` or
            ``IMAGE_RESERVED``.
    """
    # Methods of Path raise for unknown users, long names and folders of others.
    path = Path(os.path.expanduser(argument))
    if name:
        require_free_name(name)
    if os.path.isdir(path) and os.path.isfile(path / "Dockerfile") and _is_path(argument):
        path = path / "Dockerfile"
    if os.path.isfile(path):
        if path.name.endswith(_TAR_ENDINGS) or _is_tar(path):
            return UserImage(familiar(name) if name else "", archive=path)
        return UserImage(familiar(name) if name else _folder_name(path), build_file=path)
    if _is_path(argument) or argument.endswith(_TAR_ENDINGS + _OTHER_ENDINGS):
        raise _no_file(argument)
    require_free_name(argument)
    if name and familiar(name) != familiar(argument):
        raise _two_names(argument, name)
    return UserImage(familiar(argument))


def require_free_name(name: str) -> None:
    """Raise unless a user's image may have this name.

    Raises:
        DevstackError: ``IMAGE_NAME_INVALID`` or ``IMAGE_RESERVED``.
    """
    what = f"the image {name!r}"
    if "@" in name:
        raise _cannot_add(
            what,
            cause="only a registry provides an image by its digest",
            remedy=f"name it by a tag: docker tag {name} NAME:TAG, then devstack images add"
            " NAME:TAG; the flow names it by that tag too",
            code="IMAGE_NAME_INVALID",
        )
    if not is_reference(name):
        raise _cannot_add(
            what,
            cause="an image is named NAME:TAG, in lower case, such as team/model:1",
            remedy="docker image ls shows the images of this machine",
            code="IMAGE_NAME_INVALID",
        )
    if _is_reserved(name):
        raise _cannot_add(
            what,
            cause="the stack itself runs an image of this name",
            remedy=f"give yours another name: docker tag {name} local/{_last(name)}, then"
            f" devstack images add local/{_last(name)}",
            code="IMAGE_RESERVED",
        )


@dataclass(frozen=True)
class LocalImages:
    """The images of users on this machine.

    Attributes:
        runner: starts Docker.
        progress: reports what is done.
        cache: provides scratch folders.
        mirrors: where the images come from that a Dockerfile builds upon.
    """

    runner: Runner
    progress: Progress
    cache: ArtifactCache
    mirrors: Mirrors = field(default_factory=Mirrors)

    def find(self, names: Collection[str]) -> dict[str, Present]:
        """Return those images that this machine has, by name, but none that the stack may run."""
        wanted = {familiar(name) for name in names if not _is_reserved(name)}
        if len(wanted) > MOST_NAMES:
            wanted &= set(self._docker.image_names())
        return self._docker.inspect_images(sorted(wanted)) if wanted else {}

    def try_find(self, names: Collection[str]) -> dict[str, Present]:
        """Return what :meth:`find` returns; nothing if Docker does not work."""
        try:
            return self.find(names)
        except DevstackError:
            return {}

    @contextmanager
    def archive(self, image: UserImage, key: str) -> Iterator[ImageArchive]:
        """Yield an archive of the image, which exists until the block ends.

        Args:
            image: the image; it is built first if it is a Dockerfile.
            key: names the scratch folder; one process at a time may use it.

        Raises:
            DevstackError: ``IMAGE_NOT_FOUND``, ``IMAGE_BUILD_FAILED``, ``IMAGE_FILE_INVALID``,
                ``IMAGE_UNNAMED``, ``IMAGE_ARCHITECTURE`` or ``IMAGE_RESERVED``.
        """
        if image.build_file:
            pull_base_images(self._docker, image.build_file, self.mirrors, self.progress)
            self._build(image.build_file, image.reference)
        with self.cache.scratch(f"user-image-{key}") as scratch:
            if image.archive:
                archive = read_archive(image.archive, scratch, image.reference)
            else:
                self._require(image.reference)
                self.progress.note(f"reading {image.reference}")
                self._docker.save_images(scratch / "saved.tar", [image.reference])
                archive = read_archive(scratch / "saved.tar", scratch)
            for reference in archive.references:
                require_free_name(reference)
            yield archive

    @property
    def _docker(self) -> DockerClient:
        return engine_client(self.runner)

    def _build(self, dockerfile: Path, reference: str) -> None:
        try:
            self._docker.build_file(dockerfile, reference, self.progress)
        except DevstackError as error:
            if error.code != "DOCKER_FAILED":
                raise
            raise DevstackError(
                f"cannot build {dockerfile}",
                cause="docker build failed",
                remedy="correct the Dockerfile as its last lines say, and add it again",
                code="IMAGE_BUILD_FAILED",
                output=error.output,
            ) from error

    def _require(self, reference: str) -> None:
        if reference in self._docker.inspect_images([reference]):
            return
        names = [name for name in self._docker.image_names() if not name.startswith(BUILT_IN)]
        closest = difflib.get_close_matches(reference, names, n=3)
        suggestion = f"did you mean {' or '.join(closest)}? " if closest else ""
        raise _cannot_add(
            f"the image {reference}",
            cause="this machine's Docker has no image of this name",
            remedy=f"{suggestion}Build it (docker build --tag {reference} .) or pull it "
            f"(docker pull {reference}), then add it again",
            code="IMAGE_NOT_FOUND",
        )


def _is_tar(path: Path) -> bool:
    """Return True for an archive, False for a text.

    Raises:
        DevstackError: ``IMAGE_FILE_INVALID`` if it is neither, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise unreadable(path, error) from error
    if start.startswith(_GZIP) or start[257:262] == _TAR:
        return True
    if b"\0" in start or start.startswith(_OTHER_STARTS):
        raise _cannot_add(
            str(path),
            cause="it is neither an archive, plain or compressed by gzip, nor a Dockerfile",
            remedy="decompress it, or use gzip, and add it again",
            code="IMAGE_FILE_INVALID",
        )
    return False


def _is_reserved(name: str) -> bool:
    """Return True for an image that the stack may run."""
    familiar_name = familiar(name)
    own = {image.reference for image in IMAGES.values()}
    return familiar_name in own or familiar_name.startswith(KUBERNETES)


def _is_path(argument: str) -> bool:
    # A name has no slash at its ends, and no dot before one.
    return argument.startswith((".", "/", "~")) or argument.endswith("/")


def _folder_name(dockerfile: Path) -> str:
    folder = re.sub(r"[^a-z0-9]+", "-", dockerfile.resolve().parent.name.lower()).strip("-")
    return f"{folder or 'image'}:{DEFAULT_TAG}"


def _last(name: str) -> str:
    return familiar(name).rpartition("/")[2]


def _two_names(argument: str, name: str) -> DevstackError:
    return _cannot_add(
        f"the image {argument!r} as {name!r}",
        cause="--tag names the image of a file or a Dockerfile; an image of Docker has its name",
        remedy=f"docker tag {argument} {name}, then devstack images add {name}",
        code="IMAGE_NAME_INVALID",
    )


def _cannot_add(what: str, *, cause: str, remedy: str, code: str) -> DevstackError:
    return DevstackError(
        f"cannot add {what}",
        cause=cause,
        remedy=remedy,
        code=code,
        exit_status=ExitStatus.USAGE,
    )


def _no_file(argument: str) -> DevstackError:
    return _cannot_add(
        argument,
        cause="there is no such file",
        remedy="name an archive (docker save NAME:TAG --output FILE.tar), a Dockerfile, or an image"
        " that `docker image ls` shows",
        code="IMAGE_FILE_MISSING",
    )
