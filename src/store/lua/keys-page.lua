--[[
  A page of the virtual keys that are in one sorted set, or in both of two, newest first.

  KEYS[1] keys  KEYS[2] spend  KEYS[3] resets  KEYS[4] a sorted set  KEYS[5] another, or left out
  ARGV[1] how many to pass over  ARGV[2] how many to return at most
  Returns {how many there are, id, `order json`, spend, reset, id, …}; a missing reset is an empty text
]]
local offset, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local total, members = 0, {}
if not KEYS[5] then
  total = redis.call('zcard', KEYS[4])
  if limit > 0 then members = redis.call('zrevrange', KEYS[4], offset, offset + limit - 1) end
else
  local few, many = KEYS[4], KEYS[5]
  if redis.call('zcard', few) > redis.call('zcard', many) then few, many = many, few end
  for _, member in ipairs(redis.call('zrevrange', few, 0, -1)) do
    if redis.call('zscore', many, member) then
      total = total + 1
      if total > offset and #members < limit then table.insert(members, member) end
    end
  end
end
local page = { total }
local ids = {}
for index, member in ipairs(members) do ids[index] = string.sub(member, 18) end
-- A call takes some thousand arguments at most.
for first = 1, #ids, 1000 do
  local last = math.min(first + 999, #ids)
  local values = redis.call('hmget', KEYS[1], unpack(ids, first, last))
  local spends = redis.call('hmget', KEYS[2], unpack(ids, first, last))
  local resets = redis.call('hmget', KEYS[3], unpack(ids, first, last))
  for index = first, last do
    table.insert(page, ids[index])
    table.insert(page, values[index - first + 1])
    table.insert(page, spends[index - first + 1])
    table.insert(page, resets[index - first + 1] or '')
  end
end
return page
