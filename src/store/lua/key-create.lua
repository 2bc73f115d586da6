--[[
  Stores a virtual key whose id, tokens and alias are free.

  KEYS[1] version  KEYS[2] keys version  KEYS[3] sequence  KEYS[4] keys  KEYS[5] spend  KEYS[6] resets
  KEYS[7] tokens  KEYS[8] aliases  KEYS[9…] the sorted sets that it belongs to
  ARGV[1] channel  ARGV[2] origin  ARGV[3] id  ARGV[4] json  ARGV[5] nano-dollars spent  ARGV[6] reset, or nothing
  ARGV[7] time of creation, ms  ARGV[8] how many aliases (0 or 1)  ARGV[9…] those, then its tokens
  Returns 'created'; 'id', 'token', 'alias': that is taken
]]
-- include: changed.lua
-- include: ordered.lua
local id = ARGV[3]
local last = 8 + tonumber(ARGV[8])
if redis.call('hexists', KEYS[4], id) == 1 then return 'id' end
for index = last + 1, #ARGV do
  if redis.call('hexists', KEYS[7], ARGV[index]) == 1 then return 'token' end
end
for index = 9, last do
  if redis.call('hexists', KEYS[8], ARGV[index]) == 1 then return 'alias' end
end
local place = nextPlace(KEYS[3])
redis.call('hset', KEYS[4], id, place .. ' ' .. ARGV[4])
redis.call('hset', KEYS[5], id, ARGV[5])
if ARGV[6] ~= '' then redis.call('hset', KEYS[6], id, ARGV[6]) end
for index = 9, last do
  redis.call('hset', KEYS[8], ARGV[index], id)
end
for index = last + 1, #ARGV do
  redis.call('hset', KEYS[7], ARGV[index], id)
end
for index = 9, #KEYS do
  redis.call('zadd', KEYS[index], ARGV[7], place .. ' ' .. id)
end
grow(KEYS[2])
changed(KEYS[1], ARGV[1], ARGV[2])
return 'created'
