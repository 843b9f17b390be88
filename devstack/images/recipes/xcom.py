"""The image of the sidecar that hands a task's result to Airflow.

KubernetesPodOperator puts it beside the task: it waits, is asked for a file by
`cat`, and then told to end.  A shell and three small programs are all it needs.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.debian import RootFileSystem
from devstack.images.recipes.program import NOBODY

FILES = RootFileSystem("xcom", ("busybox-static",), variant="extract")
BUSYBOX = "busybox"
APPLETS = ("sh", "cat", "kill", "sleep", "echo")


class XcomImage:
    """A static busybox and nothing else; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Debian's package and the names it is called by."""
        return digest(IMAGES["xcom"].reference, FILES.key, Path(__file__), *APPLETS)

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Make the image's one layer."""
        base = FILES.build(context.runner, context.progress, context.cache)
        with Layer(scratch / "xcom.tar") as layer:
            layer.file(f"bin/{BUSYBOX}", _program(base), 0o755)
            for applet in APPLETS:
                layer.link(f"bin/{applet}", BUSYBOX)
        config = {
            "Cmd": ["sh"],
            "User": NOBODY,
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
