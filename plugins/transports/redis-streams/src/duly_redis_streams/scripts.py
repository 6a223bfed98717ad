"""What a server does in one step where XADD alone cannot."""

from typing import Final

__all__ = ["ADD"]

ADD: Final = """\
-- Adds an entry unless its delivery was added before, and returns the entry's id.
-- KEYS: the stream, the mark of the delivery. Without the second, repeats are not looked for.
-- ARGV: how long a mark lasts and how old entries may become, in milliseconds; the position of the
-- threshold of MINID, by this server's clock, or 0; then all arguments of XADD after the stream.
local known = KEYS[2] and redis.call('GET', KEYS[2])
if known then
  return known
end
local place = tonumber(ARGV[3])
if place > 0 then
  local now = redis.call('TIME')
  ARGV[place] = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[2])
end
local id = redis.call('XADD', KEYS[1], unpack(ARGV, 4))
if id and KEYS[2] then
  redis.call('SET', KEYS[2], id, 'PX', ARGV[1])
end
return id
"""
