-- The next place in the order of creation: 16 digits, so that text sorts as numbers do.
local function nextPlace(sequence)
  return string.format('%016.0f', redis.call('incr', sequence))
end

-- What `order json` has in front.
local function placeOf(value)
  return string.sub(value, 1, 16)
end
