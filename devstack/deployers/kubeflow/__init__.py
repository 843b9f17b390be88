"""Deploy flows to the stack's Kubeflow Pipelines.

Metaflow compiles with the package metaflow-kubeflow; the pipelines API runs pipelines on Argo.
"""
