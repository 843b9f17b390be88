"""Golden files: what devstack prints, kept for people to read and to compare with.

``pytest --update-golden`` writes them anew; the diff is then read by a person.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

FILES = Path(__file__).parent / "files"

Golden = Callable[[str, str], None]


@pytest.fixture
def golden(request: pytest.FixtureRequest, home: Path) -> Golden:
    """Return what compares a text with the golden file of a name.

    The test's own folder reads ``HOME`` in the file.
    """
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        text = text.replace(str(home), "HOME")
        file = FILES / name
        if update:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert file.exists(), f"there is no golden file {name}; --update-golden writes it"
        assert text == file.read_text(), f"{name} differs; --update-golden writes it anew"

    return compare
