--[[
  Counts what a request has used, and gives its slot back.

  KEYS[1] use  KEYS[2] running  KEYS[3] spend  KEYS[4] resets  KEYS[5] keys
  ARGV[1] id of the key  ARGV[2] tokens  ARGV[3] nano-dollars  ARGV[4] the most that one can have spent
  ARGV[5] lease, or nothing
  Returns {1}; {0, time}: the budget is due at that time, and what was spent is not added; all else is
]]
-- include: now.lua
-- include: window.lua
local time = now()
if ARGV[5] ~= '' then redis.call('zrem', KEYS[2], ARGV[5]) end
local used = tonumber(ARGV[2])
if used > 0 then
  local tokens = windowAt(time, redis.call('hmget', KEYS[1], unpack(TOKENS)))
  count(tokens, time, used)
  store(KEYS[1], TOKENS, tokens)
end
if ARGV[3] ~= '0' and redis.call('hexists', KEYS[5], ARGV[1]) == 1 then
  local reset = redis.call('hget', KEYS[4], ARGV[1])
  if reset and tonumber(reset) <= time then return { 0, time } end
  -- In Redis's own 64 bits: Lua's numbers are exact to 2^53 only. Twice the most still fits.
  redis.call('hincrby', KEYS[3], ARGV[1], ARGV[3])
  local spent = redis.call('hget', KEYS[3], ARGV[1])
  if #spent > #ARGV[4] or (#spent == #ARGV[4] and spent > ARGV[4]) then
    redis.call('hset', KEYS[3], ARGV[1], ARGV[4])
  end
end
return { 1 }
