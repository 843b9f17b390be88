"""The GitHub Action for real: each step with bash, on a clean account."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.paths import project_file
from tests.package.conftest import Account
from tests.support.github_action import ActionRun

FLOW = """
from metaflow import FlowSpec, Parameter, step


class WordsFlow(FlowSpec):
    text = Parameter("text", default="")

    @step
    def start(self):
        assert self.text == "two words", self.text
        self.next(self.end)

    @step
    def end(self):
        print("done:", self.text)


if __name__ == "__main__":
    WordsFlow()
"""


@pytest.mark.docker
@pytest.mark.kind
def test_a_job_runs_flows_with_the_action(account: Account, wheel: Path, tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    (account.folder / "words.py").write_text(FLOW)
    action = ActionRun(
        folder=project_file(".github", "actions", "devstack"),
        workspace=account.folder,
        temp=temp,
        environment=dict(account.environment),
        inputs={
            "version": str(wheel),
            "name": "action",
            "without": "airflow metadata postgres",
            "pools": "name=small,count=1,cpu=2,memory=4Gi",
            "run": "hello\nwords.py -- --text 'two words'",
            "cache": "false",
            "down": "true",
        },
    )
    done = action.run()
    assert not done.failed, done.transcript()
    assert done.outcomes()["Remove the stack"] == "success"
    assert len(done.masked) == 1
    assert "metaflow" not in done.masked
    assert "METAFLOW_" in Path(done.outputs["env-file"]).read_text()
