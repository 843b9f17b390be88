"""Notifications, which Metaflow's `create` has options for, and the stack's Argo does not send."""

from __future__ import annotations

OPTIONS = (
    "--notify-on-error",
    "--notify-on-success",
    "--notify-slack-webhook-url",
    "--notify-pager-duty-integration-key",
    "--notify-incident-io-api-key",
    "--incident-io-alert-source-config-id",
    "--incident-io-metadata",
)
"""Options of `argo-workflows create` (metaflow/plugins/argo/argo_workflows_cli.py)."""

REASON = (
    "Argo sends notifications with an agent, a pod with rights that the stack's executor does not"
    " have; and the key would be readable in the template"
)
INSTEAD = (
    "wait for the run: `devstack argo trigger --wait` exits with status 5 if it fails; or send"
    " them with @exit_hook"
)
