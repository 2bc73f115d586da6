-- Model configurations, which of them are loaded, and routes created through the API.
-- Rows are in the order of their rowid (`position`): oldest first. Columns of JSON hold what src/store/sqlite-rows.ts puts there.

PRAGMA application_id = 0x536c7569; -- "Slui": tells our files from those of other programs
PRAGMA user_version = 1;

CREATE TABLE configuration (
  position INTEGER PRIMARY KEY,
  config_id TEXT NOT NULL UNIQUE,
  model_id TEXT NOT NULL,
  model_name TEXT NOT NULL,
  model_type TEXT NOT NULL,
  model_kwargs TEXT NOT NULL CHECK (json_valid(model_kwargs)) -- secrets in clear
) STRICT;

-- No foreign key: a configuration may go while it is still marked here.
CREATE TABLE loaded_model (
  model_id TEXT PRIMARY KEY,
  config_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE route (
  position INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  path TEXT NOT NULL,
  target TEXT NOT NULL,
  headers TEXT NOT NULL CHECK (json_valid(headers)), -- secrets in clear
  include_subpath INTEGER CHECK (include_subpath IN (0, 1)),
  methods TEXT NOT NULL CHECK (json_valid(methods)),
  forward_headers INTEGER NOT NULL CHECK (forward_headers IN (0, 1)),
  auth INTEGER NOT NULL CHECK (auth IN (0, 1)),
  default_query_params TEXT NOT NULL CHECK (json_valid(default_query_params)),
  cost_per_request REAL,
  timeout_ms REAL
) STRICT;

CREATE INDEX route_by_path ON route (path);
