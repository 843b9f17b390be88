"""Celery's executors: what the settings make of Airflow's objects, and the brokers."""

from __future__ import annotations

import base64
import configparser
import hashlib
import json
from typing import Any

import pytest

from devstack.airflow_settings import (
    MOST_WORKERS,
    has_worker_pods,
    required_broker,
    worker_range,
)
from devstack.errors import DevstackError
from devstack.kube.client import Object
from devstack.lifecycle.executor_change import report_executor_change
from devstack.lifecycle.up import up
from devstack.lifecycle.worker_scale import scale_workers
from devstack.services.airflow.celery import WORKER, observe_workers, scaling
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import AirflowService, components
from devstack.services.base import ServiceContext
from devstack.services.rabbitmq import RabbitmqService
from devstack.services.redis import RedisService
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi, decoded
from tests.fakes.stack import FakeService, World

RANGE = {"min": 0, "max": 4}


def context(**airflow: Any) -> ServiceContext:
    settings = {"executor": "CeleryExecutor", **airflow}
    return ServiceContext(StackState("mine", airflow=settings), vhosts=("airflow",))


def find(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (
        item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name
    )
    return found


def environment(workload: Object) -> dict[str, str]:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_workers_and_schedulers_are_as_many_as_the_settings_say() -> None:
    ctx = context(workers=3, worker_concurrency=2, schedulers=2)
    objects = AirflowService().manifests(ctx)
    worker = find(objects, "StatefulSet", "airflow-worker")
    scheduler = find(objects, "Deployment", "airflow-scheduler")["spec"]
    assert worker["spec"]["replicas"] == 3
    assert environment(worker)["AIRFLOW__CELERY__WORKER_CONCURRENCY"] == "2"
    assert (scheduler["replicas"], scheduler["strategy"]["type"]) == (2, "RollingUpdate")


def test_the_memory_limit_of_a_worker_is_enough_for_its_tasks() -> None:
    def limit(**settings: Any) -> str:
        worker = find(AirflowService().manifests(context(**settings)), *WORKER)
        (container,) = worker["spec"]["template"]["spec"]["containers"]
        return str(container["resources"]["limits"]["memory"])

    assert limit() == limit(worker_concurrency=12) == "2Gi"
    assert limit(worker_concurrency=64) == "11520M"


def test_only_the_workers_change_when_their_number_does() -> None:
    ctx = context(workers=3)
    before = AirflowService().manifests(ctx)
    ctx.state.airflow["workers"] = 1
    after = AirflowService().manifests(ctx)
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [item["metadata"]["name"] for item in changed] == ["airflow-worker"]


def test_a_range_leaves_the_number_of_workers_to_the_autoscaler() -> None:
    objects = AirflowService().manifests(context(workers=RANGE))
    assert "replicas" not in find(objects, "StatefulSet", "airflow-worker")["spec"]
    settings = environment(find(objects, "Deployment", "airflow-autoscaler"))["DEVSTACK_SCALING"]
    assert json.loads(settings)["max"] == 4
    (rule,) = find(objects, "Role", "airflow-autoscaler")["rules"]
    assert rule["resources"] == ["statefulsets/scale"]
    assert rule["resourceNames"] == ["airflow-worker"]


@pytest.mark.parametrize(
    ("executor", "counted", "is_default"),
    [
        ("CeleryExecutor", "CeleryExecutor", True),
        ("LocalExecutor,CeleryExecutor", "CeleryExecutor", False),
        ("CeleryKubernetesExecutor", "CeleryKubernetesExecutor", True),
    ],
)
def test_the_autoscaler_counts_the_tasks_of_celery_only(
    executor: str, counted: str, is_default: bool
) -> None:
    found = scaling({"executor": executor, "workers": RANGE})
    assert found["executor"] == counted
    assert (found["is_default"], found["queue"]) == (is_default, "default")


def test_the_parts_follow_the_executor() -> None:
    assert "flower" not in components({})
    assert components({"executor": "CeleryExecutor"})[-1] == "flower"
    assert components({"executor": "CeleryExecutor", "workers": RANGE})[-1] == "autoscaler"
    assert has_worker_pods({"executor": "CeleryKubernetesExecutor"})
    assert worker_range({"workers": RANGE}) == (0, 4)


def test_airflow_and_rabbitmq_agree_on_user_password_and_virtual_host() -> None:
    ctx = context()
    objects = AirflowService().manifests(ctx)
    url = decoded(find(objects, "Secret", "airflow"))["AIRFLOW__CELERY__BROKER_URL"]
    secret = find(RabbitmqService().manifests(ctx), "Secret", "rabbitmq-definitions")
    definitions = json.loads(decoded(secret)["definitions.json"])
    (user,) = (each for each in definitions["users"] if each["name"] == "airflow")
    password = url.removeprefix("amqp://airflow:").partition("@")[0]
    stored = base64.b64decode(user["password_hash"])
    assert stored[4:] == hashlib.sha256(stored[:4] + password.encode()).digest()
    assert url.endswith(":5672/airflow")
    allowed = {each["user"]: each["vhost"] for each in definitions["permissions"]}
    assert allowed == {"airflow": "airflow", "devstack": "airflow"}
    assert password not in json.dumps(definitions)


def test_the_broker_restarts_only_for_an_installation_that_uses_it() -> None:
    def broker(**installations: Any) -> list[Object]:
        state.airflow = {"executor": "CeleryExecutor", "installations": installations}
        return RabbitmqService().manifests(ServiceContext(state, vhosts=("airflow", "airflow_b")))

    state = StackState("mine")
    before = broker()
    assert broker(b={"executor": "KubernetesExecutor"}) == before
    used = broker(b={"executor": "CeleryExecutor"})
    assert used != before
    assert broker() == used, "it is not restarted when the installation goes"


def test_airflow_and_redis_agree_on_the_password() -> None:
    ctx = context(broker="redis")
    objects = AirflowService().manifests(ctx)
    url = decoded(find(objects, "Secret", "airflow"))["AIRFLOW__CELERY__BROKER_URL"]
    password = url.removeprefix("redis://:").partition("@")[0]
    config = decoded(find(RedisService().manifests(ctx), "Secret", "redis-config"))["redis.conf"]
    assert f"requirepass {password}\n" in config
    assert "appendonly yes\n" in config


def test_a_broker_is_required_by_the_settings_that_use_it() -> None:
    celery = {"executor": "CeleryExecutor"}
    assert required_broker(celery, "rabbitmq") == 'executor = "CeleryExecutor"'
    assert "broker" in required_broker({**celery, "broker": "redis"}, "redis")
    assert not required_broker({**celery, "broker": "redis"}, "rabbitmq")
    assert not required_broker({"broker": "redis"}, "redis")


def test_flower_has_a_login_and_nothing_of_airflow() -> None:
    ctx = context()
    objects = AirflowService().manifests(ctx)
    values = decoded(find(objects, "Secret", "airflow-flower"))
    login = AirflowService().outputs(ctx).secrets
    assert values["FLOWER_BASIC_AUTH"] == f"{login['flower-user']}:{login['flower-password']}"
    assert not [name for name in values if name.startswith("AIRFLOW")]


def airflow_cfg(**settings: Any) -> configparser.ConfigParser:
    objects = AirflowService().manifests(context(**settings))
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(find(objects, "ConfigMap", "airflow-config")["data"]["airflow.cfg"])
    return parser


def test_tasks_that_wait_long_for_a_worker_do_not_fail() -> None:
    # By default Airflow fails a task that has been queued for three times ten minutes.
    assert airflow_cfg().getint("scheduler", "num_stuck_in_queued_retries") > 1000


def test_redis_delivers_no_message_of_a_task_that_runs_for_hours() -> None:
    options = airflow_cfg(broker="redis")
    visible = options.getint("celery_broker_transport_options", "visibility_timeout")
    assert visible >= 24 * 3600
    # What a lost worker had not started is sent again by the scheduler.
    assert options.getint("scheduler", "task_queued_timeout_check_interval") <= 60


def test_local_tasks_beside_those_of_workers_fit_into_the_scheduler() -> None:
    both = airflow_cfg(executor="LocalExecutor,CeleryExecutor")
    assert both.getint("core", "parallelism") == 8


def test_the_scheduler_allows_as_many_tasks_as_the_most_workers_execute() -> None:
    for concurrency in (4, 16):
        options = airflow_cfg(worker_concurrency=concurrency)["core"]
        slots = MOST_WORKERS * concurrency
        assert options["parallelism"] == options["max_active_tasks_per_dag"] == str(slots)
        assert int(options["default_pool_task_slot_count"]) >= slots


def test_the_users_options_override_those_for_celery() -> None:
    parser = airflow_cfg(config={"core": {"parallelism": 5}})
    assert parser["core"]["parallelism"] == "5"
    assert parser["celery"]["task_acks_late"] == "True"


def stateful_set(**status: int) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "airflow-worker", "namespace": "airflow", "generation": 1},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 1, **status},
    }


def test_workers_are_ready_when_all_of_them_are() -> None:
    api = FakeApi()
    assert isinstance(observe_workers(api.client(), "airflow", {}), Waiting)
    api.add(stateful_set(replicas=2, updatedReplicas=2, readyReplicas=1))
    assert isinstance(observe_workers(api.client(), "airflow", {}), Waiting)
    api.add(stateful_set(replicas=2, updatedReplicas=2, readyReplicas=2))
    assert observe_workers(api.client(), "airflow", {}) == Ready()


def test_up_says_what_happens_to_running_tasks_when_the_executor_changes(world: World) -> None:
    world.services.append(FakeService("airflow"))
    up(world.open())
    stack = world.open()
    stack.spec.airflow.update(executor="CeleryExecutor")
    report_executor_change(stack)
    assert "changes from LocalExecutor to CeleryExecutor" in str(stack.progress.__dict__)
    stack.state.airflow = {**stack.spec.airflow, "installations": {"b": {}, "gone": {}}}
    stack.spec.airflow["installations"] = {"b": {"executor": "KubernetesExecutor"}}
    report_executor_change(stack)
    assert "executor in the installation 'b' changes" in str(stack.progress.__dict__)
    assert "gone" not in str(stack.progress.__dict__)


def test_up_says_that_it_waits_for_celerys_workers(world: World) -> None:
    world.services.append(FakeService("airflow"))
    up(world.open())
    stack = world.open()
    stack.state.airflow = {"executor": "CeleryExecutor"}
    stack.spec.airflow["executor"] = "LocalExecutor"
    report_executor_change(stack)
    [warning] = [event[1] for event in world.progress.events if event[0] == "warn"]
    assert "`up` waits for Celery's workers" in warning
    assert "after ten minutes" in warning


def test_up_says_what_happens_to_queued_tasks_when_the_broker_changes(world: World) -> None:
    world.services.append(FakeService("airflow"))
    up(world.open())
    stack = world.open()
    stack.state.airflow = {"executor": "CeleryExecutor"}
    stack.spec.airflow.update(executor="CeleryExecutor", broker="rabbitmq")
    report_executor_change(stack)
    assert not [event for event in world.progress.events if event[0] == "warn"]
    stack.spec.airflow["broker"] = "redis"
    report_executor_change(stack)
    [warning] = [event[1] for event in world.progress.events if event[0] == "warn"]
    assert "changes from rabbitmq to redis: running tasks continue" in warning


def test_without_celery_there_is_nothing_to_scale(world: World) -> None:
    world.services.append(FakeService("airflow"))
    up(world.open())
    with pytest.raises(DevstackError) as caught:
        scale_workers(world.open(), 3)
    assert caught.value.code == "CELERY_DISABLED"


def test_the_workers_of_the_selected_installation_are_scaled() -> None:
    table = {"workers": 1, "installations": {"b": {"workers": 2}}}
    changed = Installation("b").with_setting(table, "workers", 3)
    assert changed == {"workers": 1, "installations": {"b": {"workers": 3}}}
    assert Installation().with_setting(table, "workers", 3) == {**table, "workers": 3}
    assert table["installations"] == {"b": {"workers": 2}}


@pytest.mark.parametrize(
    ("prefix", "code"), [("", "AIRFLOW_DISABLED"), ("b", "INSTALLATION_UNKNOWN")]
)
def test_an_installation_that_the_stack_lacks_is_named(
    world: World, prefix: str, code: str
) -> None:
    up(world.open())
    stack = world.open()
    stack.installation = Installation(prefix)
    with pytest.raises(DevstackError) as caught:
        scale_workers(stack, 3)
    assert caught.value.code == code
