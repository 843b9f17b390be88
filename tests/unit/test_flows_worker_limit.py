from __future__ import annotations

from pathlib import Path

import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.arguments import parse_arguments
from devstack.flows.source import FlowSource
from devstack.flows.worker_limit import check_worker_limit


def check(*arguments: str, **variables: str) -> None:
    check_worker_limit(parse_arguments(FlowSource(Path("my_flow.py")), arguments), variables)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--max-workers", "0"], {}),
        (["--max-workers=-1"], {}),
        (["resume", "--max-workers", "0"], {}),
        ([], {"METAFLOW_RUN_MAX_WORKERS": "0"}),
        (["resume"], {"METAFLOW_RESUME_MAX_WORKERS": "-3"}),
        (["--max-workers", "0"], {"METAFLOW_RUN_MAX_WORKERS": "4"}),
    ],
)
def test_a_limit_with_which_no_task_starts_is_rejected(
    arguments: list[str], variables: dict[str, str]
) -> None:
    with pytest.raises(DevstackError, match="Metaflow would start no task") as caught:
        check(*arguments, **variables)
    assert caught.value.code == "FLOW_VALUE_UNSUPPORTED"
    assert caught.value.exit_status == ExitStatus.USAGE


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        ([], {}),
        (["--max-workers", "1"], {"METAFLOW_RUN_MAX_WORKERS": "0"}),
        (["--max-workers", "many"], {}),
        ([], {"METAFLOW_RESUME_MAX_WORKERS": "0"}),
    ],
)
def test_other_limits_are_metaflows(arguments: list[str], variables: dict[str, str]) -> None:
    check(*arguments, **variables)
