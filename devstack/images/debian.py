"""Root file systems made from Debian packages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.images import certificates, versions
from devstack.images.artifact_cache import ArtifactCache, digest
from devstack.images.machine import architecture
from devstack.paths import prepare_docker
from devstack.process import Runner
from devstack.progress import Progress, step

OS_RELEASE = Path("/etc/os-release")
APT_FOLDER = Path("/etc/apt")

# Documentation is not needed in an image.
EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
# mmdebstrap leaves its own options, and with them the CA bundle's path, behind.
REMOVED = (
    "/etc/apt/apt.conf.d/99mmdebstrap",
    "/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d",
    "/var/log/apt",
    "/var/log/dpkg.log",
    "/var/lib/dpkg/status-old",
)


@dataclass(frozen=True)
class RootFileSystem:
    """Debian packages, unpacked.

    Attributes:
        name: the image, or what several images have in common.
        packages: Debian packages.
        variant: what mmdebstrap installs: "minbase" is a minimal Debian and the packages;
            "extract" only unpacks the packages and what they depend on.
    """

    name: str
    packages: tuple[str, ...]
    variant: str = "minbase"

    @property
    def key(self) -> str:
        """The digest of everything it is made from."""
        settings = (versions.DEBIAN_SUITE, architecture(), self.variant)
        return digest(*settings, *self.packages, "|", *EXCLUDED, "|", *REMOVED)

    def build(self, runner: Runner, progress: Progress, cache: ArtifactCache) -> Path:
        """Return the path of the tar archive, written now if it is not in the cache.

        Raises:
            DevstackError: ``MMDEBSTRAP_MISSING``, or ``DEBIAN_UNREACHABLE``.
        """
        return cache.make(
            f"rootfs-{self.name}",
            self.key,
            lambda path: self._bootstrap(runner, progress, path, cache),
        )

    def _bootstrap(
        self, runner: Runner, progress: Progress, path: Path, cache: ArtifactCache
    ) -> None:
        if runner.which("mmdebstrap") is None:
            raise _tool_missing()
        argv = self.command(path, architecture())
        with (
            step(progress, f"Install Debian packages: {self.name}"),
            _own_mounts(cache, self.name) as (prefix, env),
        ):
            try:
                runner.run(
                    [*prefix, *argv],
                    env=env,
                    on_line=progress.note,
                    pidfile=cache.pidfile("install"),
                )
            except DevstackError as error:
                raise _unreachable(error) from error

    def command(self, target: Path, architecture: str) -> list[str]:
        """Return the command that writes the tar archive ``target`` for an architecture."""
        argv = ["mmdebstrap", f"--variant={self.variant}", f"--architectures={architecture}"]
        argv += ["--format=tar", f"--include={','.join(self.packages)}"]
        argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
        bundle = certificates.private_bundle()
        if bundle:
            argv += [f'--aptopt=Acquire::https::CaInfo "{bundle}"']
        argv += [f'--customize-hook=rm -rf "$1{path}"' for path in REMOVED]
        # Without sources of its own it uses Debian's main mirror.
        return [*argv, versions.DEBIAN_SUITE, str(target), *map(str, host_sources())]


@contextmanager
def _own_mounts(cache: ArtifactCache, name: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield what mmdebstrap starts with, so that the kernel removes its mounts if it is killed.

    As root it mounts /proc, /sys and devices in a temporary folder. They would stay there, and who
    removes that folder would remove devices of this machine. For other users it has namespaces.
    """
    if os.geteuid() != 0:
        yield [], {}
        return
    with cache.scratch(f"mmdebstrap-{name}") as folder:
        yield ["unshare", "--mount"], {"TMPDIR": str(folder)}


def host_sources(os_release: Path = OS_RELEASE, apt: Path = APT_FOLDER) -> list[Path]:
    """Return the apt source files of this machine, if they serve the suite that is built.

    Args:
        os_release: the file that names the machine's distribution.
        apt: the folder of apt's configuration.
    """
    if not os_release.exists():
        return []
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', os_release.read_text(), re.MULTILINE))
    if fields.get("ID") != "debian" or fields.get("VERSION_CODENAME") != versions.DEBIAN_SUITE:
        return []
    candidates = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    return [
        file
        for file in candidates
        if file.is_file()
        and file.suffix in (".list", ".sources")
        and _serves_suite(file.read_text())
    ]


def _serves_suite(text: str) -> bool:
    lines: Sequence[str] = [line for line in text.splitlines() if not line.startswith("#")]
    return any(re.search(rf"\b{versions.DEBIAN_SUITE}\b(?!-)", line) for line in lines)


def _tool_missing() -> DevstackError:
    return DevstackError(
        "cannot build images from packages",
        cause="mmdebstrap, which makes a root file system from Debian packages, is missing",
        remedy="on a Debian-family machine: apt-get install mmdebstrap "
        f"({prepare_docker()} does it); elsewhere use images that can be pulled, "
        "or a bundle: devstack images load FILE",
        code="MMDEBSTRAP_MISSING",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _unreachable(error: DevstackError) -> DevstackError:
    return DevstackError(
        "cannot install Debian packages into an image",
        cause=str(error),
        remedy="check the package sources below /etc/apt, the proxy variables and, behind a "
        f"company's proxy, {certificates.VARIABLE}",
        code="DEBIAN_UNREACHABLE",
        exit_status=ExitStatus.ENVIRONMENT,
        output=error.output,
    )
