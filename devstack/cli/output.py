"""What a command prints: text for a person, or one JSON envelope.

The envelope, the same for every command::

    {"schemaVersion": 1, "command": "up", "status": "ok",
     "data": {...}, "warnings": [...], "error": null}

``error`` is ``{"code", "message", "cause", "remedy", "output"}`` where
``status`` is "error".
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from devstack.errors import DevstackError
from devstack.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA_VERSION = 1


class Output:
    """Collects a command's result and prints it once, at its end.

    Attributes:
        command: the command's name, as the envelope shows it.
        as_json: True under ``--json``.
        verbose: True where every line of a slow tool should be shown.
    """

    def __init__(self) -> None:
        self.command = ""
        self.as_json = False
        self.verbose = False
        self._data: dict[str, Any] = {}
        self._warnings: list[str] = []

    def progress(self) -> Progress:
        """Return the display that fits: silent, live, or plain lines."""
        from devstack.cli.display import choose_display

        return choose_display(self)

    def console(self) -> Console:
        """Return rich's console on standard output."""
        from rich.console import Console

        return Console(highlight=False, soft_wrap=True)

    def data(self, **data: Any) -> None:
        """Add to the envelope's data."""
        self._data.update(data)

    def text(self, text: str = "") -> None:
        """Print a line for a person; nothing under ``--json``."""
        if not self.as_json:
            sys.stdout.write(text + "\n")

    def warn(self, text: str) -> None:
        """Tell a person on standard error, or add to the envelope's warnings."""
        self._warnings.append(text)
        if not self.as_json:
            sys.stderr.write(f"warning: {text}\n")

    def finish(self) -> None:
        """Print the envelope of a command that succeeded."""
        if self.as_json:
            self._envelope("ok", None)

    def fail(self, error: DevstackError) -> None:
        """Print an error: what cannot be done, the cause, the output's tail, the next step."""
        if self.as_json:
            self._envelope("error", error.as_dict())
            return
        lines = [f"error: {error}"]
        lines += [f"  | {line}" for line in error.output_tail()]
        if error.remedy:
            lines.append(f"  next: {error.remedy}")
        lines.append(f"  code: {error.code}")
        sys.stderr.write("\n".join(lines) + "\n")

    def _envelope(self, status: str, error: dict[str, object] | None) -> None:
        envelope = {
            "schemaVersion": SCHEMA_VERSION,
            "command": self.command,
            "status": status,
            "data": self._data,
            "warnings": self._warnings,
            "error": error,
        }
        sys.stdout.write(json.dumps(envelope, indent=2, default=str) + "\n")
