#!/bin/sh
# As in MinIO's image: arguments without the program's name are those of the server.
if [ "${1}" != minio ] && [ -n "${1}" ]; then
  set -- minio "$@"
fi
if [ -n "${MINIO_USERNAME:-}" ] && [ -n "${MINIO_GROUPNAME:-}" ]; then
  exec chroot --userspec="${MINIO_USERNAME}:${MINIO_GROUPNAME}" / "$@"
fi
exec "$@"
