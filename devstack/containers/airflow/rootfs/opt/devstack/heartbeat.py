"""Ends with 1 where this pod's triggerer has not been heard of; for its probes.

A database that does not answer is no fault of the triggerer, and no reason to
start it again.
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
