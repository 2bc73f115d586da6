--[[
  Says that an instance is alive, which shows that Redis takes writes, and looks around.

  KEYS[1] instances  KEYS[2] version
  ARGV[1] instance   ARGV[2] ms after which one that says nothing counts as gone
  Returns {how many instances there are, version}
]]
-- include: now.lua
local time = now()
redis.call('zadd', KEYS[1], time, ARGV[1])
redis.call('zremrangebyscore', KEYS[1], '-inf', string.format('(%.0f', time - tonumber(ARGV[2])))
return { redis.call('zcard', KEYS[1]), redis.call('get', KEYS[2]) or '0' }
