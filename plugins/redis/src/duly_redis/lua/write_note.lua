-- Writes a note if it is still as it was read. args: now, name, the revision that it had or false
-- when there was none, and what to keep, the new revision and the value, or false to delete it.
-- Whether that is so. What is kept may be large: it is not copied here.

local name, before, new = args[2], args[3], args[4]

local kept = redis.call('HGET', notes, name)
local found = kept and string.sub(kept, 1, REVISION)
if new and found == string.sub(new, 1, REVISION) then
  return 1 -- some clients send a command again when its answer was lost
elseif found ~= before then
  return 0
end
if new then
  redis.call('ZADD', noted, 0, name) -- first: who finds no note under a name passes it over
  redis.call('HSET', notes, name, new)
elseif kept then
  redis.call('HDEL', notes, name)
  redis.call('ZREM', noted, name)
end
return 1
