"""`devstack up`: create the stack or reconcile it with its settings."""

from __future__ import annotations

from devstack.lifecycle.backup import remove_backup
from devstack.lifecycle.celery_workers import report_ending_workers
from devstack.lifecycle.executor_change import report_executor_change
from devstack.lifecycle.manifests_step import require_manifests
from devstack.lifecycle.node_loading import NodeLoading
from devstack.lifecycle.plan import build_plan
from devstack.lifecycle.pools_step import require_pools_supported
from devstack.lifecycle.setting_files import read_setting_files
from devstack.lifecycle.settings_step import require_changeable, warn_of_old_nodes
from devstack.lifecycle.step import Step, run_steps
from devstack.lifecycle.volume_loss import require_pools_changeable
from devstack.services.selection import require_dependencies
from devstack.stack import Stack


def up(stack: Stack) -> list[str]:
    """Bring the stack up or repair it; return the names of the steps that changed something.

    Raises:
        DevstackError: from the step that failed.
    """
    with stack.dir.lock():
        # Another `up` may have written it before this one got the lock.
        stack.state = stack.dir.read() or stack.state
        read_setting_files(stack)
        require_pools_supported(stack)
        require_manifests(stack)
        require_changeable(stack)
        require_pools_changeable(stack)
        warn_of_old_nodes(stack)
        report_executor_change(stack)
        if stack.state.phase in ("deleting", "retained"):
            stack.state.phase = "creating"
            stack.save()
        loading = NodeLoading(stack)
        try:
            changed = run_steps(build_steps(stack, loading), stack.progress, stack.clock)
        finally:
            loading.cancel()
            stack.images.cancel()
        if stack.state.phase != "up":
            stack.state.phase = "up"
            stack.save()
        remove_backup(stack)
        report_ending_workers(stack)
    return changed


def build_steps(stack: Stack, loading: NodeLoading | None = None) -> list[Step]:
    """Return the steps that bring the stack up, in order.

    Args:
        stack: the stack.
        loading: loads the images into the nodes.

    Raises:
        DevstackError: ``SERVICE_NEEDED``.
    """
    require_dependencies([*stack.services, *stack.disabled], stack.spec.without)
    return build_plan(stack, loading)
