"""The documents refer to files that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.flows.package_failures import DOCUMENT
from devstack.paths import document

PROJECT = Path(__file__).parents[2]
DOCUMENTS = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")]
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    targets = LINK.findall(document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


def test_the_readme_has_links() -> None:
    assert LINK.search((PROJECT / "README.md").read_text())


def test_messages_name_documents_where_they_are() -> None:
    """An installed package has no folders `docs` and `scripts`: see `devstack.paths`."""
    named = [
        f"{file.relative_to(PROJECT)}:{line}: {text}"
        for file in PROJECT.glob("devstack/**/*.py")
        if "containers" not in file.parts
        for line, text in texts_of(file)
        if re.search(r"(^|[\s`/])(docs|scripts)/[\w-]", text)
        # Shown in a checkout only.
        and text != "./scripts/prepare-docker"
    ]
    assert named == []


def texts_of(file: Path) -> Iterator[tuple[int, str]]:
    """Return the texts of a module with their lines, without docstrings."""
    tree = ast.parse(file.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield node.lineno, str(node.value)


@pytest.mark.parametrize("name", ["machines.md", "network-policies.md", DOCUMENT])
def test_documents_that_messages_name_exist(name: str) -> None:
    assert Path(document(name)).is_file()
