from __future__ import annotations

from pathlib import Path

from devstack.flows.arguments import parse_arguments
from devstack.flows.command import build_command
from devstack.flows.source import FlowSource


def test_the_command_has_the_arguments_then_the_decorators_and_the_file_for_the_runs_id() -> None:
    source = FlowSource(Path("my_flow.py"))
    arguments = parse_arguments(source, ["resume", "train", "--with", "retry"])
    argv = build_command(
        Path("py"), source, arguments, identity=Path("run.json"), decorators=["kubernetes"]
    )
    expected = "py -u my_flow.py resume train --with retry --with kubernetes"
    assert argv == [*expected.split(), "--runner-attribute-file", "run.json"]
