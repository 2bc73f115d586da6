--[[
  Adds to what virtual keys have spent, if all resets are still what was read.

  KEYS[1] keys  KEYS[2] spend  KEYS[3] resets
  ARGV[1] the most that one can have spent, nano-dollars
  ARGV[2…] of each key in turn: id, nano-dollars, the reset that was read, or nothing, the reset to set because that one
  is due, or nothing
  Returns 1; 0: another has changed one of the resets
]]
for index = 2, #ARGV, 4 do
  if (redis.call('hget', KEYS[3], ARGV[index]) or '') ~= ARGV[index + 2] then return 0 end
end
for index = 2, #ARGV, 4 do
  local id = ARGV[index]
  if redis.call('hexists', KEYS[1], id) == 1 then
    if ARGV[index + 3] ~= '' then
      redis.call('hset', KEYS[2], id, '0')
      redis.call('hset', KEYS[3], id, ARGV[index + 3])
    end
    -- In Redis's own 64 bits: Lua's numbers are exact to 2^53 only. Twice the most still fits.
    redis.call('hincrby', KEYS[2], id, ARGV[index + 1])
    local spent = redis.call('hget', KEYS[2], id)
    if #spent > #ARGV[1] or (#spent == #ARGV[1] and spent > ARGV[1]) then
      redis.call('hset', KEYS[2], id, ARGV[1])
    end
  end
end
return 1
