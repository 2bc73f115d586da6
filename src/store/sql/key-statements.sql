-- Every statement on virtual keys. Each stands below its name, and is prepared once.

-- name: insertKey
INSERT INTO virtual_key (
  id, token, previous_token, previous_until, key_name, alias, models, allowed_routes, rpm_limit, tpm_limit,
  max_parallel_requests, max_budget, budget_duration, budget_reset_at, spend_nano_usd, user_id, team_id, metadata, tags,
  blocked, expires_at, created_at, updated_at
)
VALUES (
  :id, :token, :previousToken, :previousUntil, :keyName, :alias, :models, :allowedRoutes, :rpmLimit, :tpmLimit,
  :maxParallelRequests, :maxBudget, :budgetDuration, :budgetResetAt, :spendNanoUsd, :userId, :teamId, :metadata, :tags,
  :blocked, :expiresAt, :createdAt, :updatedAt
);

-- name: updateKey
-- All but spending, which has statements of its own.
UPDATE virtual_key
SET
  token = :token,
  previous_token = :previousToken,
  previous_until = :previousUntil,
  key_name = :keyName,
  alias = :alias,
  models = :models,
  allowed_routes = :allowedRoutes,
  rpm_limit = :rpmLimit,
  tpm_limit = :tpmLimit,
  max_parallel_requests = :maxParallelRequests,
  max_budget = :maxBudget,
  budget_duration = :budgetDuration,
  budget_reset_at = :budgetResetAt,
  user_id = :userId,
  team_id = :teamId,
  metadata = :metadata,
  tags = :tags,
  blocked = :blocked,
  expires_at = :expiresAt,
  created_at = :createdAt,
  updated_at = :updatedAt
WHERE id = :id;

-- name: deleteKey
DELETE FROM virtual_key
WHERE id = :id;

-- name: selectKey
SELECT * FROM virtual_key_row
WHERE id = :id;

-- name: selectKeyByToken
SELECT * FROM virtual_key_row
WHERE token = :token
UNION ALL
SELECT * FROM virtual_key_row
WHERE previous_token = :token AND previous_until > :now;

-- name: selectKeyByAlias
SELECT * FROM virtual_key_row
WHERE alias = :alias;

-- name: selectKeyWithTokens
-- Another key that has one of these tokens, or had it.
SELECT id
FROM virtual_key
WHERE (token IN (:token, :previousToken) OR previous_token IN (:token, :previousToken)) AND id <> :id
LIMIT 1;

-- name: selectKeyWithAlias
SELECT id
FROM virtual_key
WHERE alias = :alias AND id <> :id;

-- name: selectKeys
-- The page is found in an index alone: rows that are skipped aren't looked for in the table, which takes twice as long.
SELECT * FROM virtual_key_row
WHERE position IN (
  SELECT position FROM virtual_key
  ORDER BY created_at DESC, position DESC
  LIMIT :limit OFFSET :offset
)
ORDER BY created_at DESC, position DESC;

-- name: countKeys
SELECT count(*) AS count FROM virtual_key;

-- name: selectKeysOfUser
SELECT * FROM virtual_key_row
WHERE position IN (
  SELECT position FROM virtual_key
  WHERE user_id = :userId
  ORDER BY created_at DESC, position DESC
  LIMIT :limit OFFSET :offset
)
ORDER BY created_at DESC, position DESC;

-- name: countKeysOfUser
SELECT count(*) AS count FROM virtual_key
WHERE user_id = :userId;

-- name: selectKeysOfTeam
SELECT * FROM virtual_key_row
WHERE position IN (
  SELECT position FROM virtual_key
  WHERE team_id = :teamId
  ORDER BY created_at DESC, position DESC
  LIMIT :limit OFFSET :offset
)
ORDER BY created_at DESC, position DESC;

-- name: countKeysOfTeam
SELECT count(*) AS count FROM virtual_key
WHERE team_id = :teamId;

-- name: selectKeysOfUserInTeam
SELECT * FROM virtual_key_row
WHERE position IN (
  SELECT position FROM virtual_key
  WHERE user_id = :userId AND team_id = :teamId
  ORDER BY created_at DESC, position DESC
  LIMIT :limit OFFSET :offset
)
ORDER BY created_at DESC, position DESC;

-- name: countKeysOfUserInTeam
SELECT count(*) AS count FROM virtual_key
WHERE user_id = :userId AND team_id = :teamId;

-- name: selectKeysVersion
SELECT version FROM virtual_keys_version;

-- name: bumpKeysVersion
UPDATE virtual_keys_version
SET version = version + 1;

-- name: setSpend
UPDATE virtual_key
SET spend_nano_usd = :nanoUsd
WHERE id = :id;

-- name: addSpend
-- Both terms are at most :max, and twice that is an integer still.
UPDATE virtual_key
SET spend_nano_usd = min(spend_nano_usd + :nanoUsd, :max)
WHERE id = :id;

-- name: selectDueBudget
SELECT budget_duration, budget_reset_at FROM virtual_key
WHERE id = :id AND budget_reset_at <= :now;

-- name: beginBudgetAnew
UPDATE virtual_key
SET spend_nano_usd = 0, budget_reset_at = :resetAt
WHERE id = :id;
