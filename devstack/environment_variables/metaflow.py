"""Metaflow's variables.

Three sources: settings (``from_conf`` in metaflow_config.py), direct reads of
``os.environ``, and click, which reads METAFLOW_<OPTION> for every option of the
command line and METAFLOW_<COMMAND>_<OPTION> for those of its commands.
"""

from __future__ import annotations

from devstack.environment_variables.variable import keep, override

METAFLOW = (
    *override(
        "Metaflow",
        ("METAFLOW_HOME METAFLOW_PROFILE", "which configuration is read; set to the stack's"),
        ("METAFLOW_DATASTORE METAFLOW_DATASTORE_*", "where artifacts and code are stored"),
        ("METAFLOW_DATATOOLS_*", "the root of `metaflow.S3`"),
        ("METAFLOW_METADATA", "which service records runs"),
        (
            "METAFLOW_MODE",
            "`spin`: artifacts and records in the current folder; pass `--mode` for one flow "
            "instead",
        ),
        ("METAFLOW_SERVICE_*", "address and keys of the metadata service"),
        ("METAFLOW_KUBERNETES_*", "cluster, namespace, image and resources of task pods"),
        ("METAFLOW_AIRFLOW_*", "how DAGs start pods"),
        ("METAFLOW_KUBEFLOW_*", "the address of Kubeflow Pipelines' API"),
        ("METAFLOW_ARGO_WORKFLOWS_*", "Secrets and variables of workflows, and the server"),
        ("METAFLOW_ARGO_EVENTS_*", "where events are published, and what waits for them"),
        (
            "METAFLOW_ENVIRONMENT",
            "how packages are installed; pass `--environment` for one flow instead",
        ),
        (
            "METAFLOW_BRANCH METAFLOW_FLOW_BRANCH METAFLOW_PRODUCTION METAFLOW_FLOW_PRODUCTION "
            "METAFLOW_TRIGGER METAFLOW_FLOW_TRIGGER",
            "the branch of a `@project`, and its events; pass `--branch`, `--production` or "
            "`--trigger` for one flow instead",
        ),
        (
            "METAFLOW_EVENT_LOGGER METAFLOW_MONITOR",
            "sends events and measurements to a collector",
        ),
        (
            "METAFLOW_DEFAULT_*",
            "defaults of datastore, metadata, image, registry, environment and clients",
        ),
        (
            "METAFLOW_ENABLED_*",
            "which plug-ins exist; a list without S3 or Kubernetes breaks every run",
        ),
        ("METAFLOW_S3_ENDPOINT_URL METAFLOW_S3_VERIFY_CERTIFICATE", "the S3 server"),
        ("METAFLOW_S3_SERVER_SIDE_ENCRYPTION", "an encryption that MinIO rejects without a KMS"),
        ("METAFLOW_S3_TEST_RETRYABLE_FAILURES", "makes S3 operations fail at random"),
        (
            "METAFLOW_CARD_S3ROOT METAFLOW_CARD_AZUREROOT METAFLOW_CARD_GSROOT "
            "METAFLOW_CARD_LOCALROOT",
            "where cards are stored",
        ),
        (
            "METAFLOW_CONDA_PACKAGE_S3ROOT METAFLOW_CONDA_PACKAGE_AZUREROOT "
            "METAFLOW_CONDA_PACKAGE_GSROOT",
            "where packages of environments are stored",
        ),
        ("METAFLOW_AWS_SANDBOX_*", "takes S3 keys from a sandbox service"),
        ("METAFLOW_TOKEN_HOME", "where production tokens are stored"),
        ("METAFLOW_UI_URL", "prints links to a UI that does not know the run"),
        (
            "METAFLOW_OTEL_ENDPOINT METAFLOW_OTEL_SERVICE_NAME METAFLOW_ZIPKIN_ENDPOINT "
            "METAFLOW_CONSOLE_TRACE_ENABLED",
            "sends traces, also from pods, whose image has no OpenTelemetry",
        ),
        ("METAFLOW_QUIET", "suppresses the output from which the run's id is read"),
        ("METAFLOW_RUN_RUN_ID_FILE METAFLOW_RUN_RUNNER_ATTRIBUTE_FILE", "files that runs write"),
        (
            "METAFLOW_RUN_ID METAFLOW_STEP_NAME METAFLOW_TASK_ID METAFLOW_ATTEMPT_NUMBER "
            "METAFLOW_RETRY_COUNT METAFLOW_PARAMETERS METAFLOW_INPUT_PATHS METAFLOW_SPLIT_* "
            "METAFLOW_PARENT_TASK_ID METAFLOW_FLOW_NAME METAFLOW_FLOW_FILENAME METAFLOW_OWNER "
            "METAFLOW_PRODUCTION_TOKEN METAFLOW_CODE_* METAFLOW_RUNTIME_NAME "
            "METAFLOW_RUNTIME_ENVIRONMENT METAFLOW_VERSION METAFLOW_WORKFLOW_NAME "
            "METAFLOW_WORKFLOW_NAMESPACE METAFLOW_INIT_SCRIPT METAFLOW_EXTRACTED_ROOT "
            "METAFLOW_ENV_ESCAPE_PATHS METAFLOW_ENV_ESCAPE_PY METAFLOW_ENV_ESCAPE_PICKLE_VERSION "
            "METAFLOW_STUBGEN METAFLOW_PACKAGE_POLICY METAFLOW_ARGO_EVENT_PAYLOAD_* "
            "METAFLOW_ARGO_WORKFLOW_FAILURES MF_*",
            "what Metaflow passes to its own tasks; from another task, they would be mistaken "
            "for this one's",
        ),
        ("AWS_BATCH_*", "makes Metaflow believe that it runs in AWS Batch"),
    ),
    *keep(
        "Metaflow",
        ("METAFLOW_USER", "the user's name; set if there is none, or it is root"),
        ("METAFLOW_TEMPDIR", "the folder for temporary files; by default the stack's own"),
        (
            "METAFLOW_DEFAULT_DECOSPECS METAFLOW_DECOSPECS METAFLOW_RUN_DECOSPECS "
            "METAFLOW_RESUME_DECOSPECS",
            "decorators of every step, as `--with`: part of the flow",
        ),
        (
            "METAFLOW_DEFAULT_PACKAGE_SUFFIXES METAFLOW_PACKAGE_SUFFIXES",
            "which files belong to the flow's code",
        ),
        ("METAFLOW_DEFAULT_RUNTIME_LIMIT", "the default of `@timeout`"),
        (
            "METAFLOW_AIRFLOW_KUBERNETES_CONN_ID METAFLOW_AIRFLOW_KUBERNETES_KUBECONFIG_FILE "
            "METAFLOW_AIRFLOW_KUBERNETES_KUBECONFIG_CONTEXT",
            "the cluster that a DAG uses, as `airflow deploy` documents",
        ),
        (
            "METAFLOW_DEFAULT_SECRETS_BACKEND_TYPE METAFLOW_DEFAULT_SECRETS_ROLE "
            "METAFLOW_AWS_SECRETS_MANAGER_* METAFLOW_AZURE_KEY_VAULT_PREFIX "
            "METAFLOW_GCP_SECRET_MANAGER_PREFIX",
            "where `@secrets` reads from: part of the flow",
        ),
        (
            "METAFLOW_DEFAULT_PARAMETERS",
            "default values of the flow's Parameters: part of the flow",
        ),
        ("METAFLOW_FLOW_CONFIG METAFLOW_FLOW_CONFIG_VALUE", "values of the flow's Configs"),
        ("METAFLOW_LOCAL_CONFIG_FILE METAFLOW_CLICK_API_PROCESS_CONFIG", "Configs of the flow"),
        (
            "METAFLOW_RUN_* METAFLOW_RESUME_* METAFLOW_CHECK_*",
            "options of the command, including the flow's Parameters",
        ),
        (
            "METAFLOW_PYLINT METAFLOW_FORCE_REBUILD_ENVIRONMENTS METAFLOW_SPIN_*",
            "how a flow is checked, built and started",
        ),
        (
            "METAFLOW_CONDA_* METAFLOW_PATH_TO_MICROMAMBA",
            "how packages are resolved",
        ),
        (
            "METAFLOW_S3_CLIENT_RETRY_CONFIG METAFLOW_S3_LOG_TRANSIENT_RETRIES "
            "METAFLOW_S3_RETRY_COUNT METAFLOW_S3_TRANSIENT_RETRY_COUNT METAFLOW_S3_WORKER_COUNT",
            "how often and how many S3 operations are tried",
        ),
        ("METAFLOW_CLIENT_CACHE_*", "the cache of Metaflow's client"),
        ("METAFLOW_ARTIFACT_LOCALROOT", "where downloads of artifacts go"),
        ("METAFLOW_DEBUG_*", "messages for debugging"),
        (
            "METAFLOW_CARD_NO_WARNING METAFLOW_RUNTIME_CARD_RENDER_INTERVAL "
            "METAFLOW_CONTACT_INFO METAFLOW_ESCAPE_HATCH_WARNING METAFLOW_PROFILE_FROM_START",
            "messages and intervals",
        ),
        (
            "METAFLOW_FEAT_ALWAYS_UPLOAD_CODE_PACKAGE METAFLOW_INCLUDE_FOREACH_STACK "
            "METAFLOW_MAXIMUM_FOREACH_VALUE_CHARS METAFLOW_NAMESPACED_EVENTS_PREFIX",
            "what a run records",
        ),
        (
            "METAFLOW_EXTENSIONS_SEARCH_DIRS METAFLOW_ENV_ESCAPE_DISABLED",
            "extensions that the user installed; devstack's own is found beside them",
        ),
        ("METAFLOW_SKIP_INSTALL_DEPENDENCIES", "read in task pods only"),
        (
            "METAFLOW_BATCH_* METAFLOW_SFN_* METAFLOW_ECS_* "
            "METAFLOW_EVENTS_SFN_ACCESS_IAM_ROLE METAFLOW_AZURE_STORAGE_* "
            "METAFLOW_GS_STORAGE_WORKLOAD_TYPE",
            "services that a stack does not use",
        ),
    ),
)
