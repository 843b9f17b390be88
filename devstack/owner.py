"""Who a cluster belongs to: one state directory of one user.

Docker, minikube and Kubernetes know a stack by its name only, and two users, or two
``DEVSTACK_HOME`` of one user, may choose the same. So everything that devstack creates
outside its directory carries its owner.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STACK_LABEL = "devstack.stack"
DIRECTORY_LABEL = "devstack.state-directory"
USER_LABEL = "devstack.user"


@dataclass(frozen=True)
class Owner:
    """The owner of a stack's resources.

    Attributes:
        directory: the stack's directory, absolute and without symbolic links; empty if
            unknown.
        user: the user's login name; empty if unknown.
    """

    directory: str
    user: str = ""

    @classmethod
    def of(cls, directory: Path) -> Owner:
        """Return this process's user as the owner of a stack's directory, which may not exist."""
        return cls(os.path.realpath(directory), login_name(os.geteuid()))

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Owner:
        """Return the owner that :meth:`labels` describes."""
        return cls(labels.get(DIRECTORY_LABEL, ""), labels.get(USER_LABEL, ""))

    @classmethod
    def from_file(cls, file: str) -> Owner:
        """Return the owner of a file in a stack's directory, which may no longer exist."""
        directory = os.path.realpath(Path(file).parent)
        try:
            return cls(directory, login_name(os.stat(directory).st_uid))
        except OSError:
            return cls(directory)

    def labels(self) -> dict[str, str]:
        """Return the labels of a Docker resource of this owner."""
        stack = Path(self.directory).name
        return {STACK_LABEL: stack, DIRECTORY_LABEL: self.directory, USER_LABEL: self.user}

    def to_json(self) -> str:
        """Return the owner as JSON text."""
        return json.dumps(self.labels(), indent=2) + "\n"

    def matches(self, other: Owner) -> bool:
        """Return True if both are the same; an unknown user matches any, an unknown path none."""
        same_user = not self.user or not other.user or self.user == other.user
        return bool(self.directory) and self.directory == other.directory and same_user

    def on_this_machine(self) -> str:
        """Return the owner as one line that also distinguishes machines, for shared clusters."""
        return f"{self.user}@{socket.gethostname()}:{self.directory}"

    def home(self) -> str:
        """Return the environment variable that selects the owner's directory; empty if unknown."""
        folder = Path(self.directory).parent
        variables = {"state": "DEVSTACK_HOME", "devstack": "XDG_STATE_HOME"}
        variable = variables.get(folder.name) if self.directory else None
        return f"{variable}={folder.parent}" if variable else ""

    def __str__(self) -> str:
        user = f"user {self.user}" if self.user else "an unknown user"
        return f"{user}, state directory {self.directory or 'unknown'}"


def login_name(uid: int) -> str:
    """Return a user's login name, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
