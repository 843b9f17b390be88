"""The steps that make up a stack, in order: `up` performs them, `down` undoes them."""

from __future__ import annotations

from devstack.client_files import client_files_current, ensure_client_files
from devstack.lifecycle.airflow_image import airflow_image_steps
from devstack.lifecycle.autoscaler import autoscaler_steps
from devstack.lifecycle.backup import restore_step
from devstack.lifecycle.cluster_steps import ClusterProbe, cluster_step, machine_step
from devstack.lifecycle.dag_delivery_step import dag_delivery_steps
from devstack.lifecycle.image_steps import images_step, remaining_images_step
from devstack.lifecycle.manifests_step import manifests_steps
from devstack.lifecycle.new_nodes import new_nodes_steps
from devstack.lifecycle.node_loading import NodeLoading
from devstack.lifecycle.pools_step import pools_steps
from devstack.lifecycle.registries_step import registries_steps
from devstack.lifecycle.registry_login import login_steps
from devstack.lifecycle.service_steps import service_steps
from devstack.lifecycle.settings_step import settings_step
from devstack.lifecycle.shape_step import shape_steps
from devstack.lifecycle.step import Step
from devstack.stack import Stack


def build_plan(stack: Stack, loading: NodeLoading | None = None) -> list[Step]:
    """Return all steps of the stack; nothing is done or queried yet.

    Args:
        stack: the stack.
        loading: loads the images into the nodes; the caller cancels it if a step fails.
    """
    cluster = ClusterProbe(stack)
    loading = loading or NodeLoading(stack)
    restore = [restore_step(stack)] if stack.dir.volumes.exists() else []
    return [
        machine_step(stack, cluster),
        settings_step(stack),
        images_step(stack, cluster, loading),
        cluster_step(stack, cluster),
        *pools_steps(stack),
        *shape_steps(stack),
        remaining_images_step(stack),
        *restore,
        *airflow_image_steps(stack),
        *service_steps(stack, loading),
        *registries_steps(stack),
        *login_steps(stack),
        *new_nodes_steps(stack),
        *manifests_steps(stack),
        _client_files_step(stack),
        *dag_delivery_steps(stack),
        *autoscaler_steps(stack),
    ]


def _client_files_step(stack: Stack) -> Step:
    return Step(
        "access",
        "Write kubeconfig and Metaflow settings",
        is_done=lambda: client_files_current(stack),
        ensure=lambda: ensure_client_files(stack),
        commands=lambda: [f"write {stack.dir.kubeconfig}", f"write {stack.dir.metaflow_home}"],
        needs_api=True,
    )
