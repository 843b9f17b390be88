#!/bin/bash
# Starts Postgres with the documented interface of Docker's image: POSTGRES_USER, POSTGRES_PASSWORD
# and POSTGRES_DB are for a new database cluster in PGDATA; root becomes `postgres`, and any other
# user remains; arguments are the server's options, or another command.
set -euo pipefail

readonly sockets=/var/run/postgresql

change_user() {
  mkdir -p "$PGDATA"
  chown --recursive postgres: "$PGDATA" "$sockets"
  exec gosu postgres "$0" "$@"
}

# Print variables by which the system's libraries have a name for this user: initdb requires one.
user_name() {
  local files
  files=$(mktemp -d)
  printf 'postgres:x:%d:%d::/:/bin/sh\n' "$(id -u)" "$(id -g)" >"$files/users"
  printf 'postgres:x:%d:\n' "$(id -g)" >"$files/groups"
  printf '%s\n' LD_PRELOAD=libnss_wrapper.so "NSS_WRAPPER_PASSWD=$files/users" \
    "NSS_WRAPPER_GROUP=$files/groups"
}

create_cluster() {
  local user=${POSTGRES_USER:-postgres} variables=()
  local database=${POSTGRES_DB:-$user}
  if [[ -z ${POSTGRES_PASSWORD:-} ]]; then
    echo "POSTGRES_PASSWORD is required for a new database cluster" >&2
    exit 1
  fi
  id -un >/dev/null 2>&1 || mapfile -t variables < <(user_name)
  env "${variables[@]}" initdb --username="$user" --pwfile=<(echo "$POSTGRES_PASSWORD") \
    --auth=trust --no-instructions
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  [[ $database != postgres ]] || return 0
  # A server for one user, without connections, reads the statement from its input.
  echo "CREATE DATABASE \"${database//\"/\"\"}\"" |
    env "${variables[@]}" postgres --single -D "$PGDATA" postgres >/dev/null
}

if (($# == 0)) || [[ $1 == -* ]]; then
  set -- postgres "$@"
fi
if [[ $1 == postgres ]]; then
  [[ $(id -u) != 0 ]] || change_user "$@"
  [[ -e $PGDATA/PG_VERSION ]] || create_cluster
  # The server refuses folders that others may write, such as those of volumes.
  [[ ! -O $PGDATA ]] || chmod 0700 "$PGDATA"
fi
exec "$@"
