"""The variables of the programs that devstack starts."""

from __future__ import annotations

from devstack.environment_variables.variable import keep, override

_KIND = (
    *override(
        "kind",
        (
            "KIND_EXPERIMENTAL_PROVIDER",
            "creates nodes in another engine than the stack's; `podman` with `--engine podman`",
        ),
        value="docker",
    ),
    *override(
        "kind",
        ("KIND_CLUSTER_NAME", "the cluster's name; passed as an option"),
        (
            "KIND_EXPERIMENTAL_DOCKER_NETWORK KIND_EXPERIMENTAL_PODMAN_NETWORK "
            "KIND_EXPERIMENTAL_CONTAINERD_SNAPSHOTTER",
            "the nodes' network, set to the stack's own; and another snapshotter than the images'",
        ),
    ),
)

_DOCKER = (
    *override(
        "Docker",
        ("DOCKER_DEFAULT_PLATFORM", "another machine's architecture for nodes and images"),
        ("DOCKER_CONTENT_TRUST", "rejects images that are not signed, such as built ones"),
        ("DOCKER_API_VERSION", "an API version that the engine may not have"),
        (
            "DOCKER_BUILDKIT BUILDX_BUILDER BUILDX_CONFIG",
            "another builder, whose images the engine does not have",
        ),
        (
            "BUILDKIT_HOST EXPERIMENTAL_BUILDKIT_SOURCE_POLICY BUILDX_NO_DEFAULT_LOAD "
            "BUILDX_EXPERIMENTAL",
            "another builder or base image, or an image that stays in the builder",
        ),
        ("DOCKER_HIDE_LEGACY_COMMANDS DOCKER_CUSTOM_HEADERS", "changes commands and requests"),
    ),
    *keep(
        "Docker",
        (
            "DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_TLS",
            "which engine is used: the user's choice",
        ),
        ("DOCKER_CONFIG DOCKER_AUTH_CONFIG", "logins to registries and proxies"),
        (
            "DOCKER_CONTENT_TRUST_SERVER DOCKER_CLI_* BUILDKIT_* BUILDX_*",
            "details that do not change what is built",
        ),
    ),
)

_PODMAN = (
    *override(
        "Podman",
        ("CONTAINER_CONNECTION STORAGE_DRIVER STORAGE_OPTS", "another store than the API's"),
        ("PODMAN_USERNS", "maps users, so that nodes do not start"),
        (
            "BUILDAH_FORMAT BUILDAH_ISOLATION BUILDAH_LAYERS BUILDAH_RUNTIME BUILDAH_NOPIVOT",
            "how images are built; with OCI's format they lose settings",
        ),
    ),
    *keep(
        "Podman",
        ("CONTAINER_HOST", "which engine is used: the user's choice, if it is a local socket"),
        (
            "CONTAINERS_CONF CONTAINERS_CONF_OVERRIDE CONTAINERS_STORAGE_CONF "
            "CONTAINERS_REGISTRIES_CONF REGISTRY_AUTH_FILE CONTAINER_SSHKEY "
            "CONTAINER_PASSPHRASE PODMAN_IGNORE_CGROUPSV1_WARNING",
            "configuration, mirrors and logins",
        ),
    ),
)

_KUBECTL = (
    *override(
        "Kubernetes clients",
        (
            "KUBECONFIG KUBECACHEDIR",
            "cluster and cache; set to the stack's for flows and shells, and passed as options "
            "otherwise (the context provider reads the user's)",
        ),
    ),
    *override(
        "kubectl",
        ("KUBERC KUBECTL_KUBERC", "aliases and defaults of kubectl's commands"),
        ("KUBERNETES_MASTER", "the API server if the kubeconfig has none"),
    ),
    *keep(
        "kubectl",
        ("KUBE_EDITOR KUBECTL_*", "the editor, and features of kubectl"),
        (
            "KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT",
            "the cluster that this process is a pod of; KUBECONFIG has precedence",
        ),
        ("KUBERNETES_EXEC_INFO", "set for programs that log in"),
        ("MINIKUBE_*", "minikube's settings; its profile is passed as an option"),
    ),
)

_PYTHON = (
    *override(
        "pip",
        (
            "PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_SRC",
            "another folder, or another Python, than that given",
        ),
        ("PIP_REQUIRE_VIRTUALENV PIP_DRY_RUN PIP_DOWNLOAD PIP_REQUIRE_HASHES", "installs nothing"),
        (
            "PIP_REQUIREMENT PIP_CONSTRAINT PIP_BUILD_CONSTRAINT PIP_EDITABLE PIP_NO_DEPS "
            "PIP_NO_BINARY PIP_ONLY_BINARY PIP_PREFER_BINARY PIP_PLATFORM PIP_ABI "
            "PIP_IMPLEMENTATION PIP_PYTHON_VERSION PIP_PRE PIP_UPGRADE PIP_UPGRADE_STRATEGY "
            "PIP_IGNORE_INSTALLED PIP_FORCE_REINSTALL PIP_IGNORE_REQUIRES_PYTHON "
            "PIP_NO_BUILD_ISOLATION PIP_GLOBAL_OPTION PIP_CONFIG_SETTINGS PIP_REPORT PIP_GROUP",
            "other packages or versions than those given",
        ),
    ),
    *keep(
        "pip",
        ("PIP_*", "index, proxy, certificates, caches and messages: the user's way to packages"),
    ),
    *override(
        "uv",
        (
            "UV_SYSTEM_PYTHON UV_PYTHON UV_TARGET UV_PREFIX UV_BREAK_SYSTEM_PACKAGES "
            "UV_PROJECT_ENVIRONMENT UV_WORKING_DIRECTORY UV_WORKING_DIR UV_PROJECT",
            "another folder, or another Python, than that given",
        ),
        (
            "UV_CONSTRAINT UV_OVERRIDE UV_BUILD_CONSTRAINT UV_EXCLUDE UV_REQUIRE_HASHES "
            "UV_NO_BINARY UV_NO_BINARY_PACKAGE UV_NO_BUILD UV_NO_BUILD_PACKAGE UV_PRERELEASE "
            "UV_RESOLUTION UV_EXCLUDE_NEWER UV_NO_DEPS",
            "other packages or versions than those given",
        ),
    ),
    *keep("uv", ("UV_*", "index, proxy, certificates and caches: the user's way to packages")),
    *override(
        "Python",
        ("PYTHONINSPECT", "a failed flow ends with status 0"),
        ("PYTHONEXECUTABLE", "the interpreter that starts tasks"),
        ("__PYVENV_LAUNCHER__", "the interpreter that starts tasks, on macOS"),
    ),
    *keep(
        "Python",
        ("PYTHONHOME", "devstack itself does not start with a wrong one"),
        ("PYTHONPATH", "the user's modules; the folder of devstack's Metaflow extension is added"),
        ("PYTHON*", "modules and behaviour of the user's flow"),
        ("VIRTUAL_ENV CONDA_*", "the active environment; conda's own settings"),
        ("PYLINT* PYLINTRC", "rules of pylint"),
    ),
)

_GO = (
    *override(
        "Go",
        (
            "GOFLAGS GOOS GOARCH GOAMD64 GOARM64 GOARM GO386 GOWORK GOTOOLCHAIN GOEXPERIMENT "
            "GO111MODULE GOFIPS140 CGO_* GOBIN GOEXE GOCACHEPROG",
            "what is compiled, and for which processor",
        ),
        ("GOROOT GOTOOLDIR", "the files of another Go release"),
    ),
    *keep(
        "Go",
        (
            "GOPROXY GOSUMDB GONOSUMDB GOPRIVATE GONOPROXY GOINSECURE GOAUTH GOVCS GONOSUMCHECK "
            "GOENV",
            "where modules are fetched from",
        ),
        ("GOPATH GOCACHE GOMODCACHE GOTMPDIR GODEBUG GOGC GOMAXPROCS GOMEMLIMIT", "caches, limits"),
    ),
)

_BASH = (
    *override(
        "bash",
        ("BASH_ENV ENV", "a file that every script reads first"),
        ("CDPATH", "`cd` goes to another folder, and prints it"),
        ("SHELLOPTS BASHOPTS POSIXLY_CORRECT BASH_COMPAT", "options of every script"),
        ("GLOBIGNORE EXECIGNORE", "files and programs that bash does not see"),
        ("BASH_FUNC_*", "functions that replace commands"),
        ("IFS", "how words are split; bash itself ignores it"),
        ("GREP_OPTIONS TAR_OPTIONS GZIP XZ_OPT XZ_DEFAULTS ZSTD_CLEVEL", "options of programs"),
        ("PERL5OPT PERL5DB APT_CONFIG", "code and configuration that mmdebstrap would read"),
        (
            "DPKG_ROOT DPKG_ADMINDIR DPKG_FORCE DPKG_DATADIR",
            "another system than the one that mmdebstrap prepares",
        ),
        (
            "GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_CEILING_DIRECTORIES",
            "another repository than the one that a program is in",
        ),
    ),
    *keep(
        "bash",
        ("HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy", "the proxy"),
        ("NO_PROXY no_proxy", "extended by loopback if there is a proxy"),
        ("SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE", "certificate authorities"),
        ("PATH TMPDIR LANG LC_* TZ TERM", "of every program"),
    ),
)

_KFP = (
    *override(
        "kfp",
        ("KF_PIPELINES_ENDPOINT KF_PIPELINES_UI_ENDPOINT", "the address of the pipelines API"),
        (
            "KF_PIPELINES_IAP_OAUTH2_CLIENT_ID KF_PIPELINES_APP_OAUTH2_CLIENT_ID "
            "KF_PIPELINES_APP_OAUTH2_CLIENT_SECRET",
            "a login at Google instead of the stack's token",
        ),
    ),
    *keep(
        "kfp",
        (
            "KFP_* _KFP_RUNTIME",
            "how pipelines are compiled",
        ),
    ),
)

TOOLS = (*_KIND, *_DOCKER, *_PODMAN, *_KUBECTL, *_KFP, *_PYTHON, *_GO, *_BASH)
