-- Each record belongs to a parent: run to flow, step to run, task to step. The names
-- that clients see (flow_id, run_id, step_name, task_id) are unique within the parent.

CREATE FUNCTION epoch_milliseconds() RETURNS bigint LANGUAGE sql VOLATILE AS
  'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint';

CREATE TABLE flows (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  flow_id text NOT NULL UNIQUE,
  user_name text,
  tags text[] NOT NULL DEFAULT '{}',
  system_tags text[] NOT NULL DEFAULT '{}',
  ts_epoch bigint NOT NULL DEFAULT epoch_milliseconds()
);

-- Steps, tasks and artifacts have the tags of their run.
CREATE TABLE runs (
  id bigint PRIMARY KEY,
  flow bigint NOT NULL REFERENCES flows ON DELETE CASCADE,
  run_id text NOT NULL,
  user_name text,
  tags text[] NOT NULL DEFAULT '{}',
  system_tags text[] NOT NULL DEFAULT '{}',
  ts_epoch bigint NOT NULL DEFAULT epoch_milliseconds(),
  last_heartbeat_ts bigint,
  UNIQUE (flow, run_id)
);
CREATE SEQUENCE run_numbers OWNED BY runs.id;
CREATE INDEX runs_newest ON runs (flow, id);

CREATE TABLE steps (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
  step_name text NOT NULL,
  user_name text,
  ts_epoch bigint NOT NULL DEFAULT epoch_milliseconds(),
  UNIQUE (run, step_name)
);

CREATE TABLE tasks (
  id bigint PRIMARY KEY,
  step bigint NOT NULL REFERENCES steps ON DELETE CASCADE,
  task_id text NOT NULL,
  user_name text,
  ts_epoch bigint NOT NULL DEFAULT epoch_milliseconds(),
  last_heartbeat_ts bigint,
  UNIQUE (step, task_id)
);
CREATE SEQUENCE task_numbers OWNED BY tasks.id;
CREATE INDEX tasks_newest ON tasks (step, id);

CREATE TABLE artifacts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
  attempt_id integer NOT NULL,
  name text NOT NULL,
  location text,
  ds_type text,
  sha text,
  type text,
  content_type text,
  user_name text,
  ts_epoch bigint NOT NULL DEFAULT epoch_milliseconds(),
  UNIQUE (task, attempt_id, name)
);

CREATE TABLE metadata (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
  field_name text NOT NULL,
  value text,
  type text,
  tags text[] NOT NULL DEFAULT '{}',
  user_name text,
  ts_epoch bigint NOT NULL DEFAULT epoch_milliseconds()
);
CREATE INDEX metadata_of_task ON metadata (task, id);
