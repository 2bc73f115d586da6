--[[
  Stores a configuration whose id is free.

  KEYS[1] version  KEYS[2] sequence  KEYS[3] configurations
  ARGV[1] channel  ARGV[2] origin    ARGV[3] id   ARGV[4] json
  Returns 1; 0: the id is taken
]]
-- include: changed.lua
-- include: ordered.lua
if redis.call('hexists', KEYS[3], ARGV[3]) == 1 then return 0 end
redis.call('hset', KEYS[3], ARGV[3], nextPlace(KEYS[2]) .. ' ' .. ARGV[4])
changed(KEYS[1], ARGV[1], ARGV[2])
return 1
