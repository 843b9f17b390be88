"""What a task pod runs before Metaflow's bootstrap, wherever Metaflow creates the pod.

Metaflow starts each task's pod, also of gangs and on Airflow, with ``bash -c`` and a command
that evaluates METAFLOW_INIT_SCRIPT first (kubernetes.py, ``Kubernetes._command``). The script
keeps to what POSIX shells understand: the image's bash may be a link to another shell.
"""

_USE_CACHE = """\
if [ -d "${DEVSTACK_PACKAGE_CACHE:-}" ]; then \
DEVSTACK_PACKAGE_CACHE="$DEVSTACK_PACKAGE_CACHE/$(id -u 2>/dev/null)"; \
mkdir -p "$DEVSTACK_PACKAGE_CACHE" 2>/dev/null || :; fi; \
if [ -w "${DEVSTACK_PACKAGE_CACHE:-}" ] && [ -O "${DEVSTACK_PACKAGE_CACHE:-}" ]; then \
if [ -z "${UV_CACHE_DIR:-}" ]; then \
export UV_CACHE_DIR="$DEVSTACK_PACKAGE_CACHE/uv" UV_LINK_MODE="${UV_LINK_MODE:-copy}"; fi; \
if [ ! -d "${XDG_DATA_HOME:-${HOME:-}/.local/share}/uv/python" ]; then \
export UV_PYTHON_INSTALL_DIR="${UV_PYTHON_INSTALL_DIR:-$DEVSTACK_PACKAGE_CACHE/uv-python}"; fi; \
export PIP_CACHE_DIR="${PIP_CACHE_DIR:-$DEVSTACK_PACKAGE_CACHE/pip}" DEVSTACK_PACKAGE_CACHE; \
else unset DEVSTACK_PACKAGE_CACHE; fi; """
"""Name the stack's cache to uv and pip, unless the image or the step names another one.

Files in uv's cache are writable only for the user that wrote them, so each user has a folder,
by the number that the process really has: images change their USER, and set a variable UID,
which bash would then report. The cache is another mount, so files cannot be linked; uv would
try and warn. Pythons that uv installed in the image stay in use.
"""

_CHECK_PACKAGES = """\
if ! command -v python >/dev/null; then \
echo "devstack: the image has no python on PATH, with which Metaflow starts tasks"; exit 1; fi; \
if ! python -c "import importlib.util as u; import sys; \
sys.exit(any(u.find_spec(n) is None for n in ('boto3', 'requests')))"; then \
echo "devstack: the image lacks boto3 or requests; pip installs them now"; \
python -m pip install -q --no-compile --no-cache-dir --disable-pip-version-check \
boto3 requests || { \
echo "devstack: the image lacks boto3 or requests, and pip cannot install them"; exit 1; }; fi; \
export METAFLOW_SKIP_INSTALL_DEPENDENCIES=1"""
"""Install what Metaflow needs, only if the image lacks it.

Metaflow would call pip in every pod, also if nothing is missing, and hide pip's errors.
"""

INIT_SCRIPT = _USE_CACHE + _CHECK_PACKAGES
