"""The version of devstack: that of the installed package, or of the checkout's git tag.

pyproject.toml takes the version of the package from here, so this module uses the standard
library only and nothing of devstack.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from pathlib import Path

DISTRIBUTION = "metaflow-devstack"
"""The name on the package index, where `devstack` is another project."""

NEXT_RELEASE = "0.2.0"
"""The release that is being developed: the first heading of CHANGELOG.md."""

# `git archive`, and with it the archives that hosts of repositories offer, puts the tag here:
# export-subst in .gitattributes.
_ARCHIVED = "$Format:%(describe:tags=true,abbrev=12,match=v[0-9]*.[0-9]*.[0-9]*)$"

# Without tags that move, such as v0.2.
_TAGS = "v[0-9]*.[0-9]*.[0-9]*"

_ROOT = Path(__file__).resolve().parent.parent

_GIT_TIMEOUT = 5.0

# What `git describe --long --dirty` prints, and `git describe` in an archive of a tagged commit.
_DESCRIBED = re.compile(
    r"v(?P<release>\d+\.\d+\.\d+)(?P<pre>(?:a|b|rc)\d+)?"
    r"(?:-(?P<distance>\d+)-g(?P<commit>[0-9a-f]+))?(?P<dirty>-dirty)?"
)


@functools.cache
def devstack_version() -> str:
    """Return the version of this devstack, as PEP 440 defines versions."""
    if is_checkout():
        return source_version()
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return source_version()


def is_checkout() -> bool:
    """Return True if this is devstack from a clone, False if it is an installed package."""
    # A file in a work tree that `git worktree` made.
    return (_ROOT / ".git").exists()


def source_version() -> str:
    """Return the version of these sources: a clone with or without tags, or an archive."""
    described = _describe() if is_checkout() else _ARCHIVED
    return version_of(described)


def version_of(described: str) -> str:
    """Return the version for what `git describe` printed.

    A tag ``v0.2.0`` is version 0.2.0.  A commit after it, or changed files, are a development
    version of the release to come.

    Args:
        described: a tag, with distance and commit; ``g``, the commit and ``-dirty`` if no tag
            was found; anything else is sources of which nothing is known.
    """
    found = _DESCRIBED.fullmatch(described)
    if found is None:
        commit = re.fullmatch(r"g([0-9a-f]{7,})(-dirty)?", described)
        return f"{NEXT_RELEASE}.dev0" + (_local(commit[1], commit[2]) if commit else "")
    distance = int(found["distance"] or 0)
    if not distance and not found["dirty"]:
        return found["release"] + (found["pre"] or "")
    major, minor, patch = map(int, found["release"].split("."))
    after = (major, minor, patch if found["pre"] else patch + 1)
    coming = max(after, tuple(map(int, NEXT_RELEASE.split("."))))
    number = ".".join(map(str, coming))
    return f"{number}.dev{distance}" + _local(found["commit"] or "", found["dirty"])


def _local(commit: str, dirty: str | None) -> str:
    """Return the part of the version that no package index accepts, so none gets such a wheel."""
    return f"+g{commit}" + (".dirty" if dirty else "")


def _describe() -> str:
    """Return what `git describe` prints; ``g`` and the commit without tags; empty without git."""
    # Git would abbreviate commits by the size of the clone.
    options = ("--dirty", "--abbrev=12")
    found = _git("describe", "--tags", "--match", _TAGS, "--long", *options)
    if found:
        return found
    commit = _git("describe", "--always", "--exclude", "*", *options)
    return f"g{commit}" if commit else ""


def _git(*arguments: str) -> str:
    # Variables such as GIT_DIR, which git sets for hooks, name another repository.
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # Reading must not stop a commit of the user that happens at this moment.
    variables["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=_ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
