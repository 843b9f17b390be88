"""Images that hold one static program and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import BuildContext, labels
from devstack.images.programs import PROGRAMS

NOBODY = "65532:65532"
"""A numeric user, or the kubelet cannot tell that it is not root."""

FOLDER = "usr/local/bin"


@dataclass(frozen=True)
class ProgramImage:
    """An image with one program, run as nobody; a :class:`Recipe`.

    Attributes:
        reference: the image's name and tag.
        program: the program, which is also the entry point.
        user: who runs it.
    """

    reference: str
    program: str
    user: str = NOBODY

    @property
    def programs(self) -> tuple[str, ...]:
        """The one program."""
        return (self.program,)

    @property
    def key(self) -> str:
        """The program's key and how it is run."""
        return digest(self.reference, PROGRAMS[self.program].key, self.user, Path(__file__))

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Make the image's one layer."""
        path = f"{FOLDER}/{self.program}"
        with Layer(scratch / f"{self.program}.tar") as layer:
            layer.folder("tmp", 0o1777)
            layer.file(path, context.program(self.program), 0o755)
        config = {
            "Entrypoint": [f"/{path}"],
            "User": self.user,
            "Env": [f"PATH=/{FOLDER}"],
            "Labels": labels(self.key),
        }
        return LayeredImage(self.reference, (layer.path,), config)
