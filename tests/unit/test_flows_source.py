from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.source import read_source
from devstack.flows.target import find_targets, runnable, select_by_service, select_for_airflow
from devstack.samples.catalogue import (
    ALL_SAMPLES,
    ARGO_SAMPLES,
    DAG_SAMPLES,
    ENGINE_SAMPLES,
    SAMPLES,
    Sample,
    find_sample,
)
from devstack.services.metadata import MetadataService


def write(folder: Path, text: str, name: str = "my_flow.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_syntax_error_is_reported_with_its_place_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, "x = 1\nclass MyFlow(:\n    pass\n")
    with pytest.raises(DevstackError) as caught:
        read_source(path)
    assert caught.value.code == "FLOW_SYNTAX"
    assert f"{path}:2" in caught.value.cause
    assert caught.value.output_tail == ["class MyFlow(:", "             ^"]
    assert caught.value.exit_status is ExitStatus.USAGE


def test_a_file_that_is_not_text_is_a_syntax_error(tmp_path: Path) -> None:
    path = tmp_path / "my_flow.py"
    path.write_bytes(b"x = 1\n\0\n")
    with pytest.raises(DevstackError) as caught:
        read_source(path)
    assert caught.value.code == "FLOW_SYNTAX"


def test_an_unknown_file_suggests_the_closest_match(tmp_path: Path) -> None:
    near = write(tmp_path, "")
    with pytest.raises(DevstackError) as caught:
        read_source(tmp_path / "my_flw.py")
    assert caught.value.code == "FLOW_UNKNOWN"
    assert str(near) in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("x" * 300, "FLOW_UNKNOWN"),
        ("日" * 100, "FLOW_UNKNOWN"),
        ("x" * 300 + ".py", "FLOW_UNREADABLE"),
    ],
)
def test_a_name_that_no_file_can_have_is_an_error_of_usage(name: str, code: str) -> None:
    with pytest.raises(DevstackError) as caught:
        find_targets([name])
    assert (caught.value.code, caught.value.exit_status) == (code, ExitStatus.USAGE)


def test_a_folder_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(DevstackError) as caught:
        read_source(tmp_path)
    assert caught.value.code == "FLOW_UNREADABLE"


def test_a_folder_is_not_taken_for_the_name_of_a_sample() -> None:
    with pytest.raises(DevstackError) as caught:
        find_targets(["."])
    assert caught.value.code == "FLOW_UNREADABLE"
    assert "directory" in caught.value.cause


def test_a_flow_that_can_be_read_only_once_is_rejected(tmp_path: Path) -> None:
    pipe = tmp_path / "flow.py"
    os.mkfifo(pipe)
    with pytest.raises(DevstackError, match="cannot read the flow") as caught:
        read_source(pipe)
    assert caught.value.code == "FLOW_UNREADABLE"
    assert "not a regular file" in caught.value.cause


@pytest.mark.parametrize(
    ("decorator", "named"),
    [
        ("@kubernetes", "kubernetes"),
        ("@kubernetes(cpu=1)", "kubernetes"),
        ("@metaflow.kubernetes(cpu=1)", "kubernetes"),
        ("@batch", "batch"),
        ("@retry", ""),
    ],
)
def test_a_step_that_names_its_platform_is_detected(
    tmp_path: Path, decorator: str, named: str
) -> None:
    step = f"    {decorator}\n    @step\n    def start(self): pass\n"
    other = "    def helper(self): pass\n    @kubernetes\n    def no_step(self): pass\n"
    text = f"class MyFlow(FlowSpec):\n{step}{other}"
    assert read_source(write(tmp_path, text)).steps == {"start": named}


def test_without_names_all_samples_run_that_need_no_package_index() -> None:
    found = find_targets(()).samples
    assert {sample.name for sample in SAMPLES if sample not in found} == {"packages"}


def test_names_may_be_samples_and_files(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    targets = find_targets(("parallel", str(path), "hello", "hello"))
    assert [sample.name for sample in targets.samples] == ["parallel", "hello"]
    assert [source.path for source in targets.sources] == [path]


@pytest.mark.parametrize("names", [(("helo",), ()), ((), ("helo",))])
def test_an_unknown_name_suggests_the_closest_sample(
    names: tuple[tuple[str, ...], tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DevstackError) as caught:
        find_targets(*names)
    assert caught.value.remedy.startswith("did you mean hello?")


def test_a_sample_that_needs_a_disabled_service_is_left_out() -> None:
    left = runnable(SAMPLES, [MetadataService()], explicit=False)
    assert {sample.name for sample in SAMPLES} - {sample.name for sample in left} == {"report"}
    assert runnable(SAMPLES, [], explicit=False) == list(SAMPLES)


def test_a_sample_that_the_user_named_is_not_left_out_silently() -> None:
    with pytest.raises(DevstackError) as caught:
        runnable(find_targets(("report",)).samples, [MetadataService()], explicit=True)
    assert caught.value.code == "SAMPLE_UNSUPPORTED"
    assert caught.value.remedy == "devstack up --with metadata"


def test_a_sample_of_celery_runs_where_workers_run_tasks_by_default() -> None:
    celery = {"executor": "CeleryExecutor,LocalExecutor"}
    assert select_for_airflow(DAG_SAMPLES, celery).samples == list(DAG_SAMPLES)
    selection = select_for_airflow(DAG_SAMPLES, {"executor": "LocalExecutor,CeleryExecutor"})
    assert set(DAG_SAMPLES) - set(selection.samples) == {find_sample("celery", DAG_SAMPLES)}
    with pytest.raises(DevstackError, match="'celery'") as caught:
        selection.require_all()
    assert "LocalExecutor" in caught.value.cause


def test_a_sample_of_argo_events_runs_where_the_stack_has_them() -> None:
    selection = select_by_service(ARGO_SAMPLES, ["argo", "argo-events"])
    assert selection.samples == list(ARGO_SAMPLES)
    selection.require_all()
    selection = select_by_service(ARGO_SAMPLES, ["argo"])
    (left_out,) = selection.left_out
    assert set(ARGO_SAMPLES) - set(selection.samples) == {left_out.sample}
    assert left_out.remedy == "devstack up --with argo-events"
    with pytest.raises(DevstackError, match="'argo-events'"):
        selection.require_all()


def test_every_sample_has_a_file_a_check_and_a_description() -> None:
    for sample in SAMPLES:
        text = sample.file.read_text()
        assert f"devstack run {sample.name}" in text
        assert (sample.file.parent / "checks" / sample.file.name).exists()
        assert "kubernetes" in read_source(sample.file).steps.values()


def test_no_flow_among_the_samples_is_left_out() -> None:
    names = {path.stem for path in SAMPLES[0].file.parent.glob("*.py")}
    listed = {sample.module for sample in ALL_SAMPLES}
    starting = {sample.started_by for sample in ALL_SAMPLES if sample.started_by}
    assert names - {"__init__", "catalogue"} == listed | starting


@pytest.mark.parametrize(("engine", "samples"), ENGINE_SAMPLES.items())
def test_every_sample_of_an_engine_has_a_file_and_a_check(
    engine: str, samples: Sequence[Sample]
) -> None:
    for sample in samples:
        assert f"devstack run --{engine} {sample.name}\n" in sample.file.read_text()
        assert (sample.file.parent / "checks" / sample.file.name).exists()


class CyclicGarbage:
    """An object that only the garbage collector deletes, by running Python."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        sum(range(50))


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Switch threads and collect garbage as often as possible."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50, 2, 2)
    yield
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("frequent_switches")
def test_two_flows_are_parsed_in_parallel(tmp_path: Path) -> None:
    """Which made CPython 3.11 raise a SystemError about its own recursion depth."""
    line = "def f(a, b={'k': [1, (2, 3)]}): return (a, [b])\n"
    path = write(tmp_path, line * 40)

    def read_often() -> None:
        for _ in range(150):
            for _ in range(20):
                CyclicGarbage()
            read_source(path)

    with ThreadPoolExecutor(2) as pool:
        for reading in [pool.submit(read_often) for _ in range(2)]:
            reading.result()
