"""Values in the scripts that Metaflow writes for the pods of an engine's tasks.

Metaflow puts tags, the namespace, the flow's file name and further options into a
script without quotes, or with quotes that the next shell removes. Here it gets
placeholders instead, which are replaced when the script is complete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Options = Callable[[Mapping[str, Any]], Iterator[str]]
"""Metaflow's ``dict_to_cli_options``."""

_CONFIG_OPTIONS = ("config", "config_value", "local_config_file")
"""Options that Metaflow itself turns into names only."""


class ScriptValues:
    """Placeholders and their values.

    Args:
        quote: returns a word of a pod's shell command that is the text to the shell's program.
    """

    def __init__(self, quote: Callable[[str], str]) -> None:
        self._values: list[str] = []
        self._quote = quote

    def placeholder(self, value: str) -> str:
        """Return a word that stands for the value; nothing interprets it."""
        if value not in self._values:
            self._values.append(value)
        return f"devstack-value-{self._values.index(value)}-end"

    def insert(self, script: str) -> str:
        """Return a script with the values in place of their placeholders, quoted."""
        return re.sub(
            r"devstack-value-(\d+)-end",
            lambda match: self._quote(self._values[int(match[1])]),
            script,
        )

    def options(self, original: Options) -> Options:
        """Return a replacement of ``dict_to_cli_options`` that uses placeholders."""

        def options(values: Mapping[str, Any]) -> Iterator[str]:
            for name, value in values.items():
                if name in _CONFIG_OPTIONS:
                    yield from original({name: value})
                elif value is not None and value is not False:
                    yield from self._option(name, value)

        return options

    def _option(self, name: str, value: Any) -> Iterator[str]:
        option = f"--{name.replace('_', '-')}"
        for each in value if isinstance(value, (list, tuple, set)) else [value]:
            yield option
            if not isinstance(each, bool):
                yield self.placeholder(str(each))
