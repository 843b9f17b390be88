"""Images of users: from Docker, from a file or built from a Dockerfile, as an archive."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devstack.docker.client import DockerClient, Present
from devstack.errors import DevstackError, ExitStatus
from devstack.images.archive_reader import ImageArchive, read_archive
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.catalogue import IMAGES
from devstack.images.references import familiar, is_reference
from devstack.process import Runner
from devstack.progress import Progress

DEFAULT_TAG = "dev"
"""The tag of an image built from a Dockerfile: Kubernetes treats `latest` differently."""

BUILT_IN = "devstack/"
KUBERNETES = "registry.k8s.io/"
_TAR_ENDINGS = (".tar", ".tgz", ".tar.gz")
_TAR, _GZIP = b"ustar", b"\x1f\x8b"


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
        DevstackError: ``IMAGE_FILE_MISSING``, ``IMAGE_NAME_INVALID`` or ``IMAGE_RESERVED``.
    """
    path = Path(argument).expanduser()
    if name:
        require_free_name(name)
    if path.is_file() and (argument.endswith(_TAR_ENDINGS) or _is_tar(path)):
        return UserImage(familiar(name) if name else "", archive=path)
    if path.is_dir() and (path / "Dockerfile").is_file() and _is_path(argument):
        path = path / "Dockerfile"
    if path.is_file():
        return UserImage(familiar(name) if name else _folder_name(path), build_file=path)
    if _is_path(argument) or argument.endswith(_TAR_ENDINGS):
        raise _no_file(argument)
    require_free_name(argument)
    return UserImage(familiar(argument))


def require_free_name(name: str) -> None:
    """Raise unless a user's image may have this name.

    Raises:
        DevstackError: ``IMAGE_NAME_INVALID`` or ``IMAGE_RESERVED``.
    """
    if not is_reference(name):
        raise DevstackError(
            f"cannot add the image {name!r}",
            cause="an image is named NAME:TAG, in lower case, such as team/model:1",
            remedy="docker image ls shows the images of this machine",
            code="IMAGE_NAME_INVALID",
            exit_status=ExitStatus.USAGE,
        )
    own = {image.reference for image in IMAGES.values()}
    if familiar(name) in own or name.startswith(KUBERNETES):
        raise DevstackError(
            f"cannot add the image {name!r}",
            cause="the stack itself runs an image of this name",
            remedy=f"give yours another name: docker tag {name} local/{_last(name)}, then"
            f" devstack images add local/{_last(name)}",
            code="IMAGE_RESERVED",
            exit_status=ExitStatus.USAGE,
        )


@dataclass(frozen=True)
class LocalImages:
    """The images of users on this machine.

    Attributes:
        runner: starts Docker.
        progress: reports what is done.
        cache: provides scratch folders.
    """

    runner: Runner
    progress: Progress
    cache: ArtifactCache

    def find(self, names: Collection[str]) -> dict[str, Present]:
        """Return those images that this machine has, by name, but not the stack's; one command."""
        own = {image.reference for image in IMAGES.values()}
        wanted = sorted({familiar(name) for name in names} - own)
        return self._docker.inspect_images(wanted) if wanted else {}

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
        return DockerClient(self.runner)

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
        raise DevstackError(
            f"cannot add the image {reference}",
            cause="this machine's Docker has no image of this name",
            remedy=f"{suggestion}Build it (docker build --tag {reference} .) or pull it "
            f"(docker pull {reference}), then add it again",
            code="IMAGE_NOT_FOUND",
            exit_status=ExitStatus.USAGE,
        )


def _is_tar(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(512)
    return start.startswith(_GZIP) or start[257:262] == _TAR


def _is_path(argument: str) -> bool:
    # A name has no slash at its ends, and no dot before one.
    return argument.startswith((".", "/", "~")) or argument.endswith("/")


def _folder_name(dockerfile: Path) -> str:
    folder = re.sub(r"[^a-z0-9]+", "-", dockerfile.resolve().parent.name.lower()).strip("-")
    return f"{folder or 'image'}:{DEFAULT_TAG}"


def _last(name: str) -> str:
    return familiar(name).rpartition("/")[2]


def _no_file(argument: str) -> DevstackError:
    return DevstackError(
        f"cannot add {argument}",
        cause="there is no such file",
        remedy="name an archive (docker save NAME:TAG --output FILE.tar), a Dockerfile, or an image"
        " that `docker image ls` shows",
        code="IMAGE_FILE_MISSING",
        exit_status=ExitStatus.USAGE,
    )
