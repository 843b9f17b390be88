"""Find what a flow may use as the image of a step, without running the flow.

A name that the flow computes is not found here; a pod that waits for such an image is noticed
while the flow runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from devstack.flows.source import FlowSource
from devstack.image_names import familiar, is_reference

MOST_BYTES = 1 << 20
"""The largest file that is searched."""

_WORD = re.compile(r"image", re.IGNORECASE)
_QUOTED = re.compile(r"""(['"])([^'"\s]{2,255})\1""")
# `image="app"`, `IMAGE = "app"`, `image: app` in a configuration, `kubernetes:image=app`.
_ASSIGNED = re.compile(r"""image\w*['"]?\s*[=:]\s*['"]?([^\s'",)}\]]+)""", re.IGNORECASE)
# Variables in which Metaflow finds decorators of all steps, and the values of Configs.
_METAFLOW_ENDINGS = ("_DECOSPECS", "METAFLOW_FLOW_CONFIG", "METAFLOW_FLOW_CONFIG_VALUE")
_IMPORTED = re.compile(r"^\s*(?:from|import)\s+\.?(\w+)", re.MULTILINE)


def find_image_names(
    source: FlowSource,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    known: Collection[str] = (),
) -> set[str]:
    """Return all texts that may name an image, in the familiar form.

    They come from the flow's file, modules next to it, files and variables that these name,
    and the command line.

    Args:
        source: the flow.
        arguments: what the user typed after ``--``.
        environment: the variables of the flow's process.
        known: images that a word alone may name, anywhere in these texts.
    """
    texts = [*_texts(source.path), " ".join(arguments)]
    texts += [environment[name] for name in environment if name.endswith(_METAFLOW_ENDINGS)]
    if not any(_WORD.search(text) for text in texts):
        return set()
    quoted = {value for text in texts for _, value in _QUOTED.findall(text)} | set(arguments)
    texts += [environment[name] for name in quoted if name in environment]
    texts += [_read(path) for path in _files(source.path, quoted)]
    return {familiar(name) for text in texts for name in _names(text, known) if is_reference(name)}


def _names(text: str, known: Collection[str]) -> Iterator[str]:
    yield text
    yield from _ASSIGNED.findall(text)
    for _, value in _QUOTED.findall(text):
        # Another word alone is hardly ever an image.
        if ":" in value or "/" in value or familiar(value) in known:
            yield value


def _texts(flow: Path) -> list[str]:
    text = _read(flow)
    modules = (flow.parent / f"{name}.py" for name in set(_IMPORTED.findall(text)))
    return [text, *(_read(module) for module in modules if os.path.isfile(module))]


def _files(flow: Path, names: set[str]) -> Iterator[Path]:
    """Yield the files that a flow names: values of its Configs, most likely."""
    for name in sorted(names):
        for path in (Path(name), flow.parent / name):
            # Not Path.is_file, which raises for a file in a folder of another user.
            if path.suffix in (".json", ".toml", ".yaml", ".yml") and os.path.isfile(path):
                yield path
                break


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            return ""
        return path.read_text(errors="replace")
    except OSError:
        return ""
