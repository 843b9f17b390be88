"""Small files as the archive that Docker copies into a container."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


def pack_files(files: Mapping[str, str]) -> bytes:
    """Return a tar archive of files of mode 0600 that belong to root.

    Args:
        files: contents by name.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
