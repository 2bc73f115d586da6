-- Virtual keys: all of them but their secrets. Times are milliseconds since 1970.

PRAGMA user_version = 2;

CREATE TABLE virtual_key (
  position INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  token TEXT NOT NULL UNIQUE,
  previous_token TEXT,
  previous_until INTEGER,
  key_name TEXT NOT NULL,
  alias TEXT,
  models TEXT NOT NULL CHECK (json_valid(models)),
  allowed_routes TEXT NOT NULL CHECK (json_valid(allowed_routes)),
  rpm_limit INTEGER,
  tpm_limit INTEGER,
  max_parallel_requests INTEGER,
  max_budget REAL,
  budget_duration TEXT,
  budget_reset_at INTEGER,
  spend_nano_usd INTEGER NOT NULL CHECK (spend_nano_usd >= 0), -- whole, so that sums are exact
  user_id TEXT,
  team_id TEXT,
  metadata TEXT NOT NULL CHECK (json_valid(metadata)),
  tags TEXT NOT NULL CHECK (json_valid(tags)),
  blocked INTEGER NOT NULL CHECK (blocked IN (0, 1)),
  expires_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((previous_token IS NULL) = (previous_until IS NULL)),
  CHECK ((budget_duration IS NULL) = (budget_reset_at IS NULL))
) STRICT;

CREATE UNIQUE INDEX virtual_key_by_previous_token ON virtual_key (previous_token) WHERE previous_token IS NOT NULL;
CREATE UNIQUE INDEX virtual_key_by_alias ON virtual_key (alias) WHERE alias IS NOT NULL;
-- Lists are newest first: these are read backwards, and among equal times by position.
CREATE INDEX virtual_key_by_time ON virtual_key (created_at);
CREATE INDEX virtual_key_by_user ON virtual_key (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX virtual_key_by_team ON virtual_key (team_id, created_at) WHERE team_id IS NOT NULL;
CREATE INDEX virtual_key_by_user_and_team ON virtual_key (user_id, team_id, created_at)
WHERE user_id IS NOT NULL AND team_id IS NOT NULL;

-- What src/store/sqlite-key-rows.ts reads. Nano-dollars beyond 2^53 are no numbers of JavaScript: dollars are.
CREATE VIEW virtual_key_row AS
SELECT
  position, id, token, previous_token, previous_until, key_name, alias, models, allowed_routes, rpm_limit, tpm_limit,
  max_parallel_requests, max_budget, budget_duration, budget_reset_at, spend_nano_usd / 1e9 AS spend, user_id, team_id,
  metadata, tags, blocked, expires_at, created_at, updated_at
FROM virtual_key;

-- One row: another number after each change of keys that decides who may what.
CREATE TABLE virtual_keys_version (
  position INTEGER PRIMARY KEY CHECK (position = 1),
  version INTEGER NOT NULL
) STRICT;

INSERT INTO virtual_keys_version (position, version) VALUES (1, 0);
