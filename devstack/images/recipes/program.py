"""Images with one static program and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import BuildContext, labels
from devstack.images.programs import PROGRAMS

UNPRIVILEGED = "65532:65532"
"""Numeric, so that the kubelet can verify that the user is not root."""

FOLDER = "usr/local/bin"


@dataclass(frozen=True)
class ProgramImage:
    """An image with one program, run as an unprivileged user; a :class:`Recipe`.

    Attributes:
        reference: the image's name and tag.
        program: the program.
        user: the user and group that run it.
        file: the program's file name, which is also the entry point; by default its name.
    """

    reference: str
    program: str
    user: str = UNPRIVILEGED
    file: str = ""

    @property
    def programs(self) -> tuple[str, ...]:
        """The program."""
        return (self.program,)

    @property
    def key(self) -> str:
        """The digest of the program and of the configuration."""
        return digest(self.reference, PROGRAMS[self.program].key, self.user, Path(__file__))

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        path = f"{FOLDER}/{self.file or self.program}"
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
