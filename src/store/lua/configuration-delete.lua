--[[
  Deletes a configuration.

  KEYS[1] version  KEYS[2] configurations
  ARGV[1] channel  ARGV[2] origin  ARGV[3] id
  Returns 1; 0: there is none
]]
-- include: changed.lua
if redis.call('hdel', KEYS[2], ARGV[3]) == 0 then return 0 end
changed(KEYS[1], ARGV[1], ARGV[2])
return 1
