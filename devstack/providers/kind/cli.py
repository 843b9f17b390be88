"""The kind CLI."""

from __future__ import annotations

import re

from devstack.images import versions
from devstack.process import Runner
from devstack.tools import Tool


def _is_recent(runner: Runner, kind: str) -> bool:
    found = re.search(r"v(\d+)\.(\d+)", runner.run([kind, "version"], check=False).stdout)
    return found is not None and (int(found[1]), int(found[2])) >= versions.OLDEST_KIND


KIND = Tool("kind", _is_recent)
