-- What was counted in the last 60 s, out of two buckets; see access/sliding-window.ts, which has the same in memory.
-- In a hash a window is five fields: when this bucket began, its count and when the last was counted, and the latter
-- two of the bucket before. Times are ms.
local WINDOW_MS = 60000

-- A window as it is at a time, from the five fields.
local function windowAt(time, fields)
  local window = {}
  for index = 1, 5 do window[index] = tonumber(fields[index] or 0) end
  -- A clock that was set back must not keep a window shut until it has caught up.
  for _, index in ipairs({ 1, 3, 5 }) do window[index] = math.min(window[index], time) end
  if time - window[1] >= WINDOW_MS then
    window[4], window[5] = window[2], window[3]
    window[2] = 0
    window[1] = window[1] + WINDOW_MS
  end
  if time - window[5] >= WINDOW_MS then window[4] = 0 end
  return window
end

local function weight(window, time)
  return window[4] * (window[1] + WINDOW_MS - time) + window[2] * WINDOW_MS
end

local function count(window, time, amount)
  if window[2] == 0 and window[4] == 0 then window[1] = time end
  window[2] = window[2] + amount
  window[3] = time
end

-- As text: Lua would write large numbers with an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

local function store(key, names, window)
  local fields = {}
  for index = 1, 5 do
    fields[2 * index - 1] = names[index]
    fields[2 * index] = whole(window[index])
  end
  redis.call('hset', key, unpack(fields))
  -- A bucket matters for two windows at most, from its first count on.
  if window[1] == window[3] or window[2] == 1 then redis.call('pexpire', key, 3 * WINDOW_MS) end
end

local REQUESTS = { 'rs', 'rc', 'rl', 'rp', 'rq' }
local TOKENS = { 'ts', 'tc', 'tl', 'tp', 'tq' }
