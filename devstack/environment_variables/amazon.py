"""The variables of boto3 and botocore (configprovider.py, credentials.py, utils.py)."""

from __future__ import annotations

from devstack.environment_variables.variable import keep, override

AMAZON = (
    *override(
        "boto3",
        (
            "AWS_PROFILE AWS_DEFAULT_PROFILE AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE "
            "AWS_CREDENTIAL_FILE",
            "which keys, region and endpoint files give",
        ),
        (
            "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_DEFAULT_REGION AWS_ENDPOINT_URL_S3",
            "keys and address of S3; set to the stack's",
        ),
        ("AWS_REGION", "the region, before AWS_DEFAULT_REGION"),
        (
            "AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_ACCOUNT_ID",
            "belongs to keys of another account; expired keys make a run hang in retries",
        ),
        (
            "AWS_ROLE_ARN AWS_ROLE_SESSION_NAME AWS_WEB_IDENTITY_TOKEN_FILE "
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI "
            "AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "keys from a role",
        ),
        (
            "AWS_ENDPOINT_URL AWS_ENDPOINT_URL_STS AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
            "the address of services, or that AWS_ENDPOINT_URL_S3 is ignored",
        ),
        (
            "AWS_USE_FIPS_ENDPOINT AWS_USE_DUALSTACK_ENDPOINT AWS_ACCOUNT_ID_ENDPOINT_MODE",
            "kinds of endpoints that only AWS has",
        ),
        (
            "AWS_AUTH_SCHEME_PREFERENCE AWS_SIGV4A_SIGNING_REGION_SET",
            "signatures that MinIO does not accept",
        ),
        ("AWS_DATA_PATH", "other definitions of services"),
        ("BOTOCORE_EXPERIMENTAL__PLUGINS", "code that changes every client"),
    ),
    *keep(
        "boto3",
        ("AWS_ENDPOINT_URL_*", "the address of one other service, which the stack does not have"),
        ("AWS_CA_BUNDLE", "certificate authorities; the stack's S3 uses none"),
        (
            "AWS_EC2_METADATA_* AWS_IMDS_USE_IPV6 AWS_METADATA_SERVICE_*",
            "keys of an EC2 machine; not read, because there are keys in variables",
        ),
        (
            "AWS_MAX_ATTEMPTS AWS_RETRY_MODE AWS_DEFAULTS_MODE BOTOCORE_TCP_KEEPALIVE",
            "retries and timeouts",
        ),
        (
            "AWS_REQUEST_CHECKSUM_CALCULATION AWS_RESPONSE_CHECKSUM_VALIDATION "
            "AWS_DISABLE_REQUEST_COMPRESSION AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
            "checksums and compression",
        ),
        (
            "AWS_S3_* AWS_STS_REGIONAL_ENDPOINTS AWS_DISABLE_HOST_PREFIX_INJECTION "
            "AWS_ENDPOINT_DISCOVERY_ENABLED",
            "how names of AWS endpoints are built; not used with an explicit endpoint",
        ),
        (
            "AWS_EXECUTION_ENV AWS_SDK_UA_APP_ID AWS_CSM_* AWS_LAMBDA_FUNCTION_NAME",
            "the user agent, and client-side measurements",
        ),
        ("AWS_LOGIN_CACHE_DIRECTORY BOTO_*", "caches and details of the HTTP client"),
    ),
)
