"""The tests with clusters that CI runs even on a machine that is too slow for all of them.

They use every part of the product once: the shared stacks, a flow, a gang, all samples for
Airflow, Argo and Kubeflow Pipelines, one flow on all three, an event, all executors, the rights,
what `up` repairs and `down` removes, another user's stack, the installed package, a pull.
How CI chooses: docs/adr/0030-ci-time.md.
"""

from __future__ import annotations

import pytest

ESSENTIAL = (
    "tests/conformance/metadata/test_protocol.py",
    "tests/airflow/test_credentials.py",
    "tests/airflow/test_dag_samples.py",
    "tests/airflow/test_deploy.py::test_a_flow_is_deployed_triggered_with_parameters_read_and_deleted",
    "tests/airflow/test_delivery.py",
    "tests/airflow/test_deployer_api.py",
    "tests/airflow/test_doctor.py",
    "tests/airflow/test_metadata.py::test_requests_without_the_key_are_rejected",
    "tests/airflow/test_platform.py::test_the_api_and_the_ui_require_a_login",
    "tests/airflow/test_platform.py::test_a_database_accepts_only_its_own_user",
    "tests/airflow/test_platform.py::test_up_with_nothing_to_do_writes_nothing",
    "tests/airflow/test_rbac.py",
    "tests/argo/test_events.py::test_an_event_from_the_host_starts_a_flow_with_its_parameters",
    "tests/argo/test_events.py::test_an_event_survives_the_bus_before_its_delivery",
    "tests/argo/test_events.py::test_a_sensor_whose_pod_cannot_start_is_named",
    "tests/argo/test_faults.py::test_a_deleted_pod_is_retried",
    "tests/argo/test_flows.py::test_a_foreach_is_joined_and_its_failed_item_is_retried",
    "tests/argo/test_samples.py::test_a_sample_succeeds",
    "tests/argo/test_samples.py::test_the_gang_is_checked_in_the_cluster",
    "tests/celery/test_changes.py::test_a_sample_succeeds",
    "tests/celery/test_changes.py::test_a_sample_succeeds_on_every_other_executor",
    "tests/celery/test_queues.py",
    "tests/e2e/test_api_cases.py",
    "tests/e2e/test_commands.py",
    "tests/e2e/test_control_plane.py",
    "tests/e2e/test_datastore_rights.py",
    "tests/e2e/test_faults_cluster.py::test_killed_minio_restarts_with_its_data",
    "tests/e2e/test_faults_cluster.py::test_up_restores_only_changed_objects",
    "tests/e2e/test_gang_flows.py::test_a_failed_rank_fails_the_step_and_the_whole_gang_is_retried",
    "tests/e2e/test_pools.py::test_services_come_before_tasks_for_the_cpus",
    "tests/e2e/test_samples.py::test_a_sample_with_arguments_runs_like_a_user_flow",
    "tests/e2e/test_user_flows.py::test_a_failing_flow_ends_with_its_status_and_the_pods_output",
    "tests/e2e/test_user_flows.py::test_a_flow_without_decorators_runs_on_the_cluster",
    "tests/images/test_kustomize.py",
    "tests/images/test_runc_wrapper.py",
    "tests/kubeflow/test_faults.py::"
    "test_concurrent_deployments_of_one_name_leave_one_schedule_and_one_that_runs",
    "tests/kubeflow/test_metaflow_commands.py::test_a_pipeline_written_with_kfp_alone_runs",
    "tests/kubeflow/test_samples.py::test_a_sample_succeeds",
    "tests/kubeflow/test_three_engines.py",
    "tests/package/test_install.py::test_the_installed_command_is_complete",
    "tests/providers/test_docker_faults.py",
    "tests/providers/test_interruptions.py::test_down_removes_an_incomplete_cluster",
    "tests/providers/test_ownership.py",
    "tests/providers/test_ports.py",
    "tests/providers/test_settings.py",
    "tests/pull/test_empty_docker.py",
    "tests/pull/test_registry.py",
    "tests/pull/test_up.py",
)
"""Starts of their ids: a file, or one test with all its cases."""


def is_essential(nodeid: str) -> bool:
    """Return whether CI runs a test on every machine."""
    path, _, name = nodeid.partition("::")
    return path in ESSENTIAL or f"{path}::{name.partition('[')[0]}" in ESSENTIAL


# First, so that it happens before pytest selects tests by their marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the essential tests."""
    for item in items:
        if is_essential(item.nodeid):
            item.add_marker("essential")
