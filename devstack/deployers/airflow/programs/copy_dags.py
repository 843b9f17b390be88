"""Runs inside a scheduler's pod: unpack DAG files into a volume, each by a rename."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path

UNFINISHED = ".devstack-unfinished"


def main(folder: str, archive: str, delete: bool) -> None:
    """Unpack a tar archive.

    Args:
        folder: the folder of DAG files.
        archive: the archive, in base64; it contains files only.
        delete: delete all files that are not in it.
    """
    root = Path(folder)
    written = []
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive))) as tar:
        for member in tar:
            target = root / member.name
            content = tar.extractfile(member)
            if content is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            # The scheduler reads files whose names end with .py.
            unfinished = target.with_name(target.name + UNFINISHED)
            unfinished.write_bytes(content.read())
            unfinished.replace(target)
            written.append(member.name)
    deleted = remove_others(root, set(written)) if delete else []
    print("DEVSTACK_RESULT " + json.dumps({"written": written, "deleted": deleted}))  # noqa: T201


def remove_others(root: Path, kept: set[str]) -> list[str]:
    """Delete the files that are not in ``kept``, and folders that are empty then."""
    deleted = []
    for path in sorted(root.rglob("*"), reverse=True):
        name = path.relative_to(root).as_posix()
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()) and path.name != "lost+found":
                path.rmdir()
        elif name not in kept:
            path.unlink()
            deleted.append(name)
    return sorted(deleted)
