"""The image of the sidecar that passes a task's result to Airflow.

KubernetesPodOperator adds the sidecar to the pod of the task, reads a file in it with
`cat`, and then ends it. That requires a shell and a few small programs.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.debian import RootFileSystem
from devstack.images.recipes.program import UNPRIVILEGED

FILES = RootFileSystem("xcom", ("busybox-static",), variant="extract")
BUSYBOX = "busybox"
APPLETS = ("sh", "cat", "kill", "sleep", "echo")


class XcomImage:
    """A static busybox and nothing else; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of Debian's package and of the names of the applets."""
        return digest(IMAGES["xcom"].reference, FILES.key, Path(__file__), *APPLETS)

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        base = FILES.build(context.runner, context.progress, context.cache)
        with Layer(scratch / "xcom.tar") as layer:
            layer.file(f"bin/{BUSYBOX}", _program(base), 0o755)
            for applet in APPLETS:
                layer.link(f"bin/{applet}", BUSYBOX)
        config = {
            "Cmd": ["sh"],
            "User": UNPRIVILEGED,
            "Env": ["PATH=/bin"],
            "Labels": labels(self.key),
        }
        return LayeredImage(IMAGES["xcom"].reference, (layer.path,), config)


def _program(archive: Path) -> bytes:
    with tarfile.open(archive) as tar:
        for entry in tar:
            if entry.isreg() and entry.name.endswith(f"/bin/{BUSYBOX}"):
                content = tar.extractfile(entry)
                return content.read() if content else b""
    raise FileNotFoundError(f"{BUSYBOX} in {archive}")
