"""Compiling an image's Python packages ahead, by the Python of that image.

Pods cannot keep what Python compiles, so every start would do it again.
"""

from __future__ import annotations

from pathlib import Path

from devstack.images.archive import LayeredImage
from devstack.images.build_context import BuildContext
from devstack.progress import step

# The source's date is not looked at: files in a layer have none.
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
        folder: where the packages will lie in the image, without the first slash.
    """
    target = packages.parent / "bytecode.tar"
    return compile_inside(context, base, _COMPILE.format(folder=folder), target)


def compile_inside(context: BuildContext, base: Path, script: str, target: Path) -> Path:
    """Return what a script wrote that compiles with the Python of an image's own files.

    Args:
        context: the tools.
        base: the image's root file system as a tar archive, with Python in it.
        script: run by bash as root; the folder of ``target`` is its ``/out``, and
            ``target`` there its first argument.
        target: the file that the script writes.
    """
    reference = f"devstack/python-unfinished:{base.name}"
    with (
        step(context.progress, "Compile Python packages"),
        context.cache.scratch("bytecode") as scratch,
    ):
        context.load(LayeredImage(reference, (base,)), scratch)
        try:
            context.docker.extract(reference, script, target)
        finally:
            context.docker.remove(reference)
    return target
