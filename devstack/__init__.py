"""devstack: a local Kubernetes stack on which Metaflow flows run end to end."""

__version__ = "0.2.0"
