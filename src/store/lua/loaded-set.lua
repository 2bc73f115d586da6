--[[
  Says which configuration of a model shall be loaded.

  KEYS[1] version  KEYS[2] loaded
  ARGV[1] channel  ARGV[2] origin  ARGV[3] model id  ARGV[4] configuration id; left out: none
  Returns 1
]]
-- include: changed.lua
if ARGV[4] then
  redis.call('hset', KEYS[2], ARGV[3], ARGV[4])
else
  redis.call('hdel', KEYS[2], ARGV[3])
end
changed(KEYS[1], ARGV[1], ARGV[2])
return 1
