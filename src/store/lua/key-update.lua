--[[
  Replaces a virtual key, if it and its reset are still what was read.

  KEYS[1] version  KEYS[2] keys version  KEYS[3] keys  KEYS[4] spend  KEYS[5] resets  KEYS[6] tokens  KEYS[7] aliases
  KEYS[8…] the sorted sets that it belonged to, then those that it belongs to now
  ARGV[1] channel  ARGV[2] origin  ARGV[3] id  ARGV[4] what was read: `order json`  ARGV[5] the reset that was read,
  or nothing  ARGV[6] the new json  ARGV[7] the new reset, or nothing  ARGV[8] nano-dollars that it shall have spent,
  or nothing: those that it has  ARGV[9] time of creation, ms
  ARGV[10…13] how many sorted sets, tokens and aliases it had, and how many new tokens there are
  ARGV[14…] tokens it had, aliases it had, new tokens, new aliases
  Returns {'updated', nano-dollars spent}; {'changed'}: another has changed or deleted it; {'token'}, {'alias'}: that is taken
]]
-- include: changed.lua
-- include: ordered.lua
local id = ARGV[3]
if redis.call('hget', KEYS[3], id) ~= ARGV[4] then return { 'changed' } end
if (redis.call('hget', KEYS[5], id) or '') ~= ARGV[5] then return { 'changed' } end
local sets = 7 + tonumber(ARGV[10])
local tokens = 13 + tonumber(ARGV[11])
local aliases = tokens + tonumber(ARGV[12])
local newTokens = aliases + tonumber(ARGV[13])
local function takenByAnother(key, name)
  local owner = redis.call('hget', key, name)
  return owner and owner ~= id
end
for index = aliases + 1, newTokens do
  if takenByAnother(KEYS[6], ARGV[index]) then return { 'token' } end
end
for index = newTokens + 1, #ARGV do
  if takenByAnother(KEYS[7], ARGV[index]) then return { 'alias' } end
end
local member = placeOf(ARGV[4]) .. ' ' .. id
for index = 8, sets do redis.call('zrem', KEYS[index], member) end
for index = sets + 1, #KEYS do redis.call('zadd', KEYS[index], ARGV[9], member) end
for index = 14, tokens do redis.call('hdel', KEYS[6], ARGV[index]) end
for index = tokens + 1, aliases do redis.call('hdel', KEYS[7], ARGV[index]) end
for index = aliases + 1, newTokens do redis.call('hset', KEYS[6], ARGV[index], id) end
for index = newTokens + 1, #ARGV do redis.call('hset', KEYS[7], ARGV[index], id) end
redis.call('hset', KEYS[3], id, placeOf(ARGV[4]) .. ' ' .. ARGV[6])
if ARGV[7] == '' then
  redis.call('hdel', KEYS[5], id)
else
  redis.call('hset', KEYS[5], id, ARGV[7])
end
if ARGV[8] ~= '' then redis.call('hset', KEYS[4], id, ARGV[8]) end
grow(KEYS[2])
changed(KEYS[1], ARGV[1], ARGV[2])
return { 'updated', redis.call('hget', KEYS[4], id) or '0' }
