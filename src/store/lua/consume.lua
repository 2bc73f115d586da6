--[[
  Takes all that one request of a virtual key needs, or nothing.

  KEYS[1] use      hash of the key's two windows; see window.lua
  KEYS[2] running  sorted set: lease of a request under way, by its expiry
  KEYS[3] spend    KEYS[4] resets
  ARGV[1] id of the key
  ARGV[2] rpm limit  ARGV[3] tpm limit  ARGV[4] requests at a time  ARGV[5] budget, nano-dollars; nothing: no limit
  ARGV[6] lease      ARGV[7] ms until it expires
  Returns {1: taken, 0: refused; time; the five numbers of the window of requests; the same of tokens; requests under
  way; nano-dollars spent, in digits; reset, in digits, or nothing}: as it was before, where refused
]]
-- include: now.lua
-- include: window.lua
local time = now()
local rpm, tpm, slots, budget = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local requests = windowAt(time, redis.call('hmget', KEYS[1], unpack(REQUESTS)))
local tokens = tpm and windowAt(time, redis.call('hmget', KEYS[1], unpack(TOKENS))) or { 0, 0, 0, 0, 0 }
local running, spent, reset = 0, '0', ''
if slots then
  redis.call('zremrangebyscore', KEYS[2], '-inf', whole(time))
  running = redis.call('zcard', KEYS[2])
end
if budget then
  reset = redis.call('hget', KEYS[4], ARGV[1]) or ''
  -- One that is due begins anew when something is spent in it.
  if reset == '' or tonumber(reset) > time then spent = redis.call('hget', KEYS[3], ARGV[1]) or '0' end
end
local refused = (rpm and weight(requests, time) > (rpm - 1) * WINDOW_MS)
  or (tpm and weight(tokens, time) > tpm * WINDOW_MS - 1)
  or (slots and running >= slots)
  or (budget and tonumber(spent) >= budget)
if not refused then
  count(requests, time, 1)
  store(KEYS[1], REQUESTS, requests)
  if slots then
    redis.call('zadd', KEYS[2], time + tonumber(ARGV[7]), ARGV[6])
    redis.call('pexpire', KEYS[2], ARGV[7])
    running = running + 1
  end
end
return {
  refused and 0 or 1, time,
  requests[1], requests[2], requests[3], requests[4], requests[5],
  tokens[1], tokens[2], tokens[3], tokens[4], tokens[5],
  running, spent, reset,
}
