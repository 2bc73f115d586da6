-- Every statement of the SQLite store but those on virtual keys. Each stands below its name, and is prepared once.

-- name: walMode
PRAGMA journal_mode = WAL;

-- name: schemaVersion
PRAGMA user_version;

-- name: applicationId
PRAGMA application_id;

-- name: tableCount
SELECT count(*) AS count FROM sqlite_schema;

-- name: dataVersion
-- Another number after each commit of another connection (https://www.sqlite.org/pragma.html#pragma_data_version).
PRAGMA data_version;

-- name: begin
-- The lock is taken at once: taken later, it fails where another process has written since the beginning.
BEGIN IMMEDIATE;

-- name: beginReading
-- What is read until the end is of one moment; writers aren't held up.
BEGIN DEFERRED;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: insertConfiguration
INSERT INTO configuration (config_id, model_id, model_name, model_type, model_kwargs)
VALUES (:configId, :modelId, :modelName, :modelType, :modelKwargs)
ON CONFLICT (config_id) DO NOTHING;

-- name: selectConfiguration
SELECT config_id, model_id, model_name, model_type, model_kwargs
FROM configuration
WHERE config_id = :configId;

-- name: selectConfigurations
SELECT config_id, model_id, model_name, model_type, model_kwargs
FROM configuration
ORDER BY position;

-- name: deleteConfiguration
DELETE FROM configuration
WHERE config_id = :configId;

-- name: upsertLoaded
INSERT INTO loaded_model (model_id, config_id)
VALUES (:modelId, :configId)
ON CONFLICT (model_id) DO UPDATE SET config_id = excluded.config_id;

-- name: deleteLoaded
DELETE FROM loaded_model
WHERE model_id = :modelId;

-- name: selectLoaded
SELECT model_id, config_id
FROM loaded_model
ORDER BY model_id;

-- name: insertRoute
INSERT INTO route (
  id, path, target, headers, include_subpath, methods, forward_headers, auth, default_query_params, cost_per_request, timeout_ms
)
VALUES (
  :id, :path, :target, :headers, :includeSubpath, :methods, :forwardHeaders, :auth, :defaultQueryParams, :costPerRequest, :timeoutMs
)
ON CONFLICT (id) DO NOTHING;

-- name: selectRoute
SELECT id, path, target, headers, include_subpath, methods, forward_headers, auth, default_query_params, cost_per_request, timeout_ms
FROM route
WHERE id = :id;

-- name: selectRoutes
SELECT id, path, target, headers, include_subpath, methods, forward_headers, auth, default_query_params, cost_per_request, timeout_ms
FROM route
ORDER BY position;

-- name: selectNamesakes
SELECT id, methods
FROM route
WHERE path = :path AND id <> :id
ORDER BY position;

-- name: updateRoute
UPDATE route
SET
  path = :path,
  target = :target,
  headers = :headers,
  include_subpath = :includeSubpath,
  methods = :methods,
  forward_headers = :forwardHeaders,
  auth = :auth,
  default_query_params = :defaultQueryParams,
  cost_per_request = :costPerRequest,
  timeout_ms = :timeoutMs
WHERE id = :id;

-- name: deleteRoute
DELETE FROM route
WHERE id = :id;
