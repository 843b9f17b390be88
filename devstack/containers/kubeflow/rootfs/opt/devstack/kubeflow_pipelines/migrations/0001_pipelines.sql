-- Ids are the API's. `spec` is what the API returns as pipeline_spec; json, not jsonb, keeps the
-- order of its keys. A run keeps the specification it was started with, because versions may be
-- deleted before it ends.

CREATE TABLE pipelines (
  id text PRIMARY KEY,
  display_name text NOT NULL UNIQUE,
  description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE pipeline_versions (
  id text PRIMARY KEY,
  pipeline_id text NOT NULL REFERENCES pipelines,
  display_name text NOT NULL,
  description text NOT NULL DEFAULT '',
  spec json NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (pipeline_id, display_name)
);

CREATE TABLE experiments (
  id text PRIMARY KEY,
  display_name text NOT NULL UNIQUE,
  description text NOT NULL DEFAULT '',
  storage_state text NOT NULL DEFAULT 'AVAILABLE',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- `object_name` is the name of the CronWorkflow.
CREATE TABLE recurring_runs (
  id text PRIMARY KEY,
  display_name text NOT NULL,
  description text NOT NULL DEFAULT '',
  experiment_id text NOT NULL REFERENCES experiments,
  pipeline_id text,
  pipeline_version_id text,
  spec json NOT NULL,
  parameters json NOT NULL,
  cron text NOT NULL,
  enabled boolean NOT NULL,
  no_catchup boolean NOT NULL,
  object_name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- `object_name` is the name of the Workflow.
CREATE TABLE runs (
  id text PRIMARY KEY,
  display_name text NOT NULL,
  description text NOT NULL DEFAULT '',
  experiment_id text NOT NULL REFERENCES experiments,
  pipeline_id text,
  pipeline_version_id text,
  recurring_run_id text,
  spec json NOT NULL,
  parameters json NOT NULL,
  state text NOT NULL,
  error text NOT NULL DEFAULT '',
  storage_state text NOT NULL DEFAULT 'AVAILABLE',
  object_name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  scheduled_at timestamptz,
  finished_at timestamptz
);
CREATE INDEX runs_newest ON runs (created_at DESC);
CREATE INDEX runs_active ON runs (id) WHERE finished_at IS NULL;
