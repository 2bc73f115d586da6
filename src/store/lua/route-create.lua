--[[
  Stores a route whose id is free, as are its paths and methods.

  KEYS[1] version  KEYS[2] sequence  KEYS[3] routes  KEYS[4] route claims
  ARGV[1] channel  ARGV[2] origin  ARGV[3] id  ARGV[4] json  ARGV[5…] what it claims: `METHOD path`
  Returns {'created'}; {'id'}: the id is taken; {'claims', claim, id of its owner, claim, id, …}: those are
]]
-- include: changed.lua
-- include: ordered.lua
local taken = { 'claims' }
for index = 5, #ARGV do
  local owner = redis.call('hget', KEYS[4], ARGV[index])
  if owner then
    table.insert(taken, ARGV[index])
    table.insert(taken, owner)
  end
end
if #taken > 1 then return taken end
if redis.call('hexists', KEYS[3], ARGV[3]) == 1 then return { 'id' } end
redis.call('hset', KEYS[3], ARGV[3], nextPlace(KEYS[2]) .. ' ' .. ARGV[4])
for index = 5, #ARGV do
  redis.call('hset', KEYS[4], ARGV[index], ARGV[3])
end
changed(KEYS[1], ARGV[1], ARGV[2])
return { 'created' }
