#!/bin/sh
# The arguments of `docker run minio/minio` are those of the program, whose name may come first.
if [ "${1-}" = minio ]; then
  shift
fi
exec /usr/bin/minio "$@"
