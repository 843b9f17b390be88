"""The pipelines API: Kubeflow Pipelines' v2beta1, on Postgres and Argo Workflows.

It implements what metaflow-kubeflow and kfp's client call, translates a pipeline into a workflow,
and lets Argo run it. It runs in an image of its own and imports nothing else of devstack but
``database_service``.
"""
