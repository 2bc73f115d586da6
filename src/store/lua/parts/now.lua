-- Redis's own time, whole ms since 1970: instances count alike, whatever their clocks say.
local function now()
  local time = redis.call('time')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
