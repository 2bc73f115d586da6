--[[
  Keeps the slots of requests that are still under way, those whose lease has expired while Redis was away among them.

  KEYS[1] running
  ARGV[1] ms until they expire  ARGV[2…] leases
  Returns 1
]]
-- include: now.lua
local expiry = now() + tonumber(ARGV[1])
for index = 2, #ARGV do redis.call('zadd', KEYS[1], expiry, ARGV[index]) end
redis.call('pexpire', KEYS[1], ARGV[1])
return 1
