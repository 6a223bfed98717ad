-- Stands in front of the scripts that look for what is in no place. A lease without an end holds
-- nothing: somebody deleted that, and it would never lapse.

-- Calls what it is given with the members of each lease.
local function each_lease(look)
  local kept = redis.call('HGETALL', leases)
  for at = 1, #kept, 2 do
    if redis.call('ZSCORE', ends, kept[at]) then
      look(cmsgpack.unpack(kept[at + 1])[2])
    end
  end
end

local function held_members()
  local held = {}
  each_lease(function(members)
    for _, member in ipairs(members) do
      held[member] = true
    end
  end)
  return held
end
