--[[
  Deletes virtual keys, if all of them are still what was read.

  KEYS[1] version  KEYS[2] keys version  KEYS[3] keys  KEYS[4] spend  KEYS[5] resets  KEYS[6] tokens  KEYS[7] aliases
  KEYS[8…] of each key in turn the sorted sets that it belongs to
  ARGV[1] channel  ARGV[2] origin  ARGV[3…] of each key in turn: id, what was read (`order json`), how many sorted
  sets, tokens and aliases it has, its tokens, its aliases
  Returns 1; 0: another has changed or deleted one of them
]]
-- include: changed.lua
-- include: ordered.lua
local function each(visit)
  local argument, set = 3, 8
  while argument <= #ARGV do
    local sets = tonumber(ARGV[argument + 2])
    local tokens = tonumber(ARGV[argument + 3])
    local aliases = tonumber(ARGV[argument + 4])
    if visit(argument, set, sets, tokens, aliases) then return true end
    argument = argument + 5 + tokens + aliases
    set = set + sets
  end
  return false
end

if each(function(argument) return redis.call('hget', KEYS[3], ARGV[argument]) ~= ARGV[argument + 1] end) then
  return 0
end
each(function(argument, set, sets, tokens, aliases)
  local id = ARGV[argument]
  local member = placeOf(ARGV[argument + 1]) .. ' ' .. id
  redis.call('hdel', KEYS[3], id)
  redis.call('hdel', KEYS[4], id)
  redis.call('hdel', KEYS[5], id)
  for index = argument + 5, argument + 4 + tokens do redis.call('hdel', KEYS[6], ARGV[index]) end
  for index = argument + 5 + tokens, argument + 4 + tokens + aliases do
    redis.call('hdel', KEYS[7], ARGV[index])
  end
  for index = set, set + sets - 1 do redis.call('zrem', KEYS[index], member) end
  return false
end)
grow(KEYS[2])
changed(KEYS[1], ARGV[1], ARGV[2])
return 1
