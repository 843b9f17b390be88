"""A python3 and a devstack that record their calls, for the steps of CI."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

PYTHON = r"""
#!/bin/sh
# Records its call; creates an environment with itself and a devstack.
echo "python $*" >>"$CALLS"
if [ "$2" = venv ]; then
  mkdir -p "$4/bin"
  cp "$0" "$4/bin/python"
  cp "$(dirname "$(readlink -f "$0")")/devstack" "$4/bin/devstack"
fi
"""

DEVSTACK = r"""
#!/bin/sh
for each in devstack "$@"; do printf '<%s>' "$each"; done >>"$CALLS"
echo >>"$CALLS"
[ "$1" != "${FAILING:-}" ] || exit 5
case "$1 $2" in
  "--version "*) printf 'devstack 1.2.3\n  Kubernetes 1.36\n' ;;
  "env "*)
    echo "unset METAFLOW_PROFILE"
    echo "export AWS_ACCESS_KEY_ID=metaflow"
    echo "export METAFLOW_KUBERNETES_SECRETS=metaflow-s3,devstack-packages"
    echo "export AWS_SECRET_ACCESS_KEY='s3cret value'"
    echo "export METAFLOW_DEFAULT_DATASTORE=s3"
    ;;
  "images save") echo bundle >"$4" ;;
  "images load") cat "$3" ;;
esac
"""


class RecordedPrograms:
    """The programs, in a folder.

    Args:
        folder: is created.

    Attributes:
        calls: the file with a line for each call.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.calls = folder.with_name("calls")
        folder.mkdir()
        for name, program in (("python3", PYTHON), ("devstack", DEVSTACK)):
            path = folder / name
            path.write_text(textwrap.dedent(program).lstrip())
            path.chmod(0o755)
        # Programs find devstack only where a step has put it.
        self._path = folder.with_name("path")
        self._path.mkdir()
        (self._path / "python3").symlink_to(folder / "python3")

    def environment(self, failing: str = "") -> dict[str, str]:
        """Return variables for a process; the command ``failing`` of devstack fails."""
        path = os.pathsep.join([str(self._path), "/usr/bin", "/bin"])
        return {"PATH": path, "CALLS": str(self.calls), "FAILING": failing}

    def devstack_calls(self) -> list[str]:
        """Return the recorded calls of devstack."""
        lines = self.calls.read_text().splitlines()
        calls = [line for line in lines if line.startswith("<devstack>")]
        return [call for call in calls if call != "<devstack><--version>"]

    def pip_calls(self) -> list[str]:
        """Return what pip was asked to install."""
        lines = self.calls.read_text().splitlines()
        return [line.partition(" install ")[2] for line in lines if " pip " in line]
