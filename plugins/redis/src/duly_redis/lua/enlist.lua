-- Notes what recurs and was stored by a version that did not. args: now, where: a line by its name, or
-- "leases" for all that is in hand; cursor, how many. The next cursor.

although_memory_is_full()

local where, cursor, count = args[2], args[3], args[4]

local function note_all(members, step)
  for at = 1, #members, step do
    note_series(members[at])
  end
end

if where == 'leases' then
  each_lease(function(members)
    note_all(members, 1)
  end)
  return '0'
end
local page = redis.call('ZSCAN', where == 'due' and due or suspects, cursor, 'COUNT', count)
note_all(page[2], 2)
return page[1]
