--[[
  Finds a virtual key by what points to its id.

  KEYS[1] tokens or aliases  KEYS[2] keys  KEYS[3] spend  KEYS[4] resets
  ARGV[1] token or alias
  Returns {id, `order json`, spend, reset}; an empty list: none
]]
local id = redis.call('hget', KEYS[1], ARGV[1])
if not id then return {} end
return {
  id,
  redis.call('hget', KEYS[2], id),
  redis.call('hget', KEYS[3], id),
  redis.call('hget', KEYS[4], id) or '',
}
