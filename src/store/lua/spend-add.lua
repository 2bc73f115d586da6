--[[
  Adds to what virtual keys have spent, if all resets are still what was read.

  KEYS[1] keys  KEYS[2] spend  KEYS[3] resets
  ARGV[1…] of each key in turn: id, USD, the reset that was read, or nothing, the reset to set because that one is due,
  or nothing
  Returns 1; 0: another has changed one of the resets
]]
for index = 1, #ARGV, 4 do
  if (redis.call('hget', KEYS[3], ARGV[index]) or '') ~= ARGV[index + 2] then return 0 end
end
for index = 1, #ARGV, 4 do
  local id = ARGV[index]
  if redis.call('hexists', KEYS[1], id) == 1 then
    local before = tonumber(redis.call('hget', KEYS[2], id) or 0)
    if ARGV[index + 3] ~= '' then
      before = 0
      redis.call('hset', KEYS[3], id, ARGV[index + 3])
    end
    redis.call('hset', KEYS[2], id, string.format('%.17g', before + tonumber(ARGV[index + 1])))
  end
end
return 1
