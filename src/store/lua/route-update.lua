--[[
  Replaces a route, if it is still what was read; its place in the order stays.

  KEYS[1] version  KEYS[2] routes  KEYS[3] route claims
  ARGV[1] channel  ARGV[2] origin  ARGV[3] id  ARGV[4] what was read: `order json`  ARGV[5] the new json
  ARGV[6] how many claims it had  ARGV[7…] those, then the new ones
  Returns {'updated'}; {'changed'}: another has changed or deleted it; {'claims', claim, id of its owner, …}: taken
]]
-- include: changed.lua
-- include: ordered.lua
if redis.call('hget', KEYS[2], ARGV[3]) ~= ARGV[4] then return { 'changed' } end
local last = 6 + tonumber(ARGV[6])
local taken = { 'claims' }
for index = last + 1, #ARGV do
  local owner = redis.call('hget', KEYS[3], ARGV[index])
  if owner and owner ~= ARGV[3] then
    table.insert(taken, ARGV[index])
    table.insert(taken, owner)
  end
end
if #taken > 1 then return taken end
for index = 7, last do
  redis.call('hdel', KEYS[3], ARGV[index])
end
for index = last + 1, #ARGV do
  redis.call('hset', KEYS[3], ARGV[index], ARGV[3])
end
redis.call('hset', KEYS[2], ARGV[3], placeOf(ARGV[4]) .. ' ' .. ARGV[5])
changed(KEYS[1], ARGV[1], ARGV[2])
return { 'updated' }
