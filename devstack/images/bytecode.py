"""Compiling an image's Python packages to bytecode with the Python of that image.

Pods cannot keep what Python compiles, so every start would compile it again.
"""

from __future__ import annotations

from pathlib import Path

from devstack.images.build_context import BuildContext
from devstack.progress import step

# Files in a layer have no modification time, so bytecode must not depend on it.
_COMPILE = """\
cp -r /out/packages /tmp/packages
cd /tmp/packages
python3 -m compileall -q -j 0 -o 0 --invalidation-mode unchecked-hash \\
  -s /tmp/packages -p "/{folder}" . >/dev/null || true
find . -name __pycache__ -type d -print0 |
  tar --create --null --files-from=- --owner=0 --group=0 --mtime=@0 --sort=name \\
    --transform="s,^\\\\./,{folder}/," --file="$1"
"""


def compile_packages(context: BuildContext, base: Path, packages: Path, folder: str) -> Path:
    """Return a tar archive with the bytecode of Python packages.

    Args:
        context: the tools.
        base: the image's root file system as a tar archive, with Python in it.
        packages: a folder called ``packages`` that holds what was installed; the
            archive is written beside it.
        folder: the path of the packages in the image, without the leading slash.
    """
    target = packages.parent / "bytecode.tar"
    return compile_inside(context, base, _COMPILE.format(folder=folder), target)


def compile_inside(context: BuildContext, base: Path, script: str, target: Path) -> Path:
    """Return the file that a script writes in a container of an image's root file system.

    Args:
        context: the tools.
        base: the image's root file system as a tar archive, with Python in it.
        script: run by bash as root; the folder of ``target`` is its ``/out``, and
            ``target`` there its first argument.
        target: the file that the script writes.
    """
    with step(context.progress, "Compile Python packages"):
        context.docker.extract(context.temporary_image(base), script, target)
    return target
