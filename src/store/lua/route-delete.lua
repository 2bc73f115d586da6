--[[
  Deletes a route, if it is still what was read.

  KEYS[1] version  KEYS[2] routes  KEYS[3] route claims
  ARGV[1] channel  ARGV[2] origin  ARGV[3] id  ARGV[4] what was read: `order json`  ARGV[5…] its claims
  Returns 1; 0: another has changed or deleted it
]]
-- include: changed.lua
if redis.call('hget', KEYS[2], ARGV[3]) ~= ARGV[4] then return 0 end
redis.call('hdel', KEYS[2], ARGV[3])
for index = 5, #ARGV do
  redis.call('hdel', KEYS[3], ARGV[index])
end
changed(KEYS[1], ARGV[1], ARGV[2])
return 1
