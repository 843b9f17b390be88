"""What a command prints: text, or one JSON envelope.

The envelope, the same for every command::

    {"schemaVersion": 1, "command": "up", "status": "ok",
     "data": {...}, "warnings": [...], "error": null}

``error`` is ``{"code", "message", "cause", "remedy", "output"}`` if ``status``
is "error".
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from devstack.errors import DevstackError

if TYPE_CHECKING:
    from rich.console import Console

    from devstack.cli.display import Display

SCHEMA_VERSION = 1


class Output:
    """Prints a command's progress and result.

    Attributes:
        command: the command's name, as the envelope shows it.
        as_json: True with ``--json``.
        stack: the stack that ``--name`` selects; empty for the default.
        verbose: True to show every line of the tools that run.
    """

    def __init__(self) -> None:
        self.command = ""
        self.as_json = False
        self.stack = ""
        self.verbose = False
        self._data: dict[str, Any] = {}
        self._warnings: list[str] = []
        self._display: Display | None = None

    def progress(self) -> Display:
        """Return the display of the command's progress: none, live, or plain lines."""
        from devstack.cli.display import choose_display

        if self._display is None:
            self._display = choose_display(as_json=self.as_json, verbose=self.verbose)
        return self._display

    def close_progress(self) -> None:
        """Remove what the display of the progress shows only for the moment."""
        if self._display is not None:
            self._display.close()

    def console(self) -> Console:
        """Return rich's console on standard output."""
        from rich.console import Console

        return Console(highlight=False, soft_wrap=True)

    def data(self, **data: Any) -> None:
        """Add to the envelope's data."""
        self._data.update(data)

    def record(self, record: object) -> None:
        """Add the fields of a dataclass or a dictionary to the envelope's data."""
        self._data.update(_to_json(record))

    def text(self, text: str = "") -> None:
        """Print a line to standard output; nothing with ``--json``."""
        if not self.as_json:
            self.close_progress()
            sys.stdout.write(text + "\n")

    def warn(self, text: str) -> None:
        """Print a warning to standard error, and add it to the envelope."""
        self._warnings.append(text)
        if not self.as_json:
            self.close_progress()
            sys.stderr.write(f"warning: {text}\n")

    def with_stack(self, text: str) -> str:
        """Return a remedy whose commands name the stack of this command."""
        from devstack.cli.stack_name import add_stack_name

        return add_stack_name(text, self.stack)

    def finish(self) -> None:
        """Print the envelope of a command that succeeded."""
        if self.as_json:
            self._envelope("ok", None)

    def fail(self, error: DevstackError) -> None:
        """Print an error: the message, its cause, the end of the output, the next step."""
        self.close_progress()
        error.remedy = self.with_stack(error.remedy)
        if self.as_json:
            from devstack.schema import Error, dump

            self._envelope("error", dump(Error, error))
            return
        lines = [f"error: {error}"]
        lines += [f"  | {line}" for line in error.output_tail]
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
        sys.stdout.write(json.dumps(_to_json(envelope), indent=2) + "\n")


def _to_json(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value, enc_hook=str, str_keys=True)
