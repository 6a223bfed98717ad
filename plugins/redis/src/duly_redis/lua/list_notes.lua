-- Some of the notes in the order of their names. args: now, where names begin and end, as ZRANGEBYLEX
-- takes it. Now, the last name that was looked at if there may be more behind it, else false; and
-- names and what is kept, in turn.

local NAMES, BYTES = 100, 1048576 -- at most, but for the last

local names, found, size = redis.call('ZRANGEBYLEX', noted, args[2], args[3], 'LIMIT', 0, NAMES), {}, 0
for each, name in ipairs(names) do
  local kept = redis.call('HGET', notes, name)
  if kept then
    found[#found + 1] = name
    found[#found + 1] = kept
    size = size + #kept
  end
  if size >= BYTES then
    return { now, name, found }
  end
end
return { now, #names == NAMES and names[NAMES], found }
