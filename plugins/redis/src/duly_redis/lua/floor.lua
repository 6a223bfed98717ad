-- Raises the floor of somebody who declares. args: now, the generation and the name. Whether no
-- higher one was declared.

local of = args[2]
local generation, by = string.sub(of, 1, 19), string.sub(of, 21)
local floor = redis.call('HGET', floors, by)
if floor and is_below(generation, floor) then
  return 0
end
redis.call('SISMEMBER', set_of(of), '') -- fails if the key is somebody else's, before all is done
if floor ~= generation then
  redis.call('HSET', floors, by, generation)
end
return 1
