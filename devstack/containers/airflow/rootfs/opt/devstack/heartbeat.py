"""Probe of the triggerer: exits with 1 if it has had no heartbeat for a minute.

It succeeds during a database outage, which is no reason to restart the triggerer.
"""

from __future__ import annotations

import os
import socket
import sys

import psycopg2

SECONDS = 60
QUERY = """
SELECT 1 FROM job
WHERE job_type = 'TriggererJob' AND state = 'running' AND hostname = %s
  AND latest_heartbeat > now() - %s * interval '1 second'
"""

url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
try:
    connection = psycopg2.connect(url, connect_timeout=5)
except psycopg2.OperationalError:
    sys.exit(0)
with connection, connection.cursor() as cursor:
    cursor.execute(QUERY, [socket.getfqdn(), SECONDS])
    sys.exit(0 if cursor.fetchone() else 1)
