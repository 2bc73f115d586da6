-- Adds 1 to a version. One that is missing (a new database, a FLUSHALL) begins with the time in microseconds, beyond
-- all before it.
local function grow(key)
  local value = redis.call('incr', key)
  if value == 1 then
    local time = redis.call('time')
    value = time[1] * 1000000 + time[2]
    redis.call('set', key, string.format('%.0f', value))
  end
  return string.format('%.0f', value)
end

-- Tells the other instances that something has changed: `version origin`.
local function changed(version, channel, origin)
  redis.call('publish', channel, grow(version) .. ' ' .. origin)
end
