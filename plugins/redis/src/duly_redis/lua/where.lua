-- In whose hands a message is. args: now, id. Nothing when there is none; else the state, the due
-- time or false, the lapses or false, of the lease it is in the owner and the end, or false, for a series that
-- something follows that, what is kept of the series, and changes or false; and 1 if it stands aside, else 0.

local id = args[2]
local value = redis.call('HGET', messages, id)
if not value then
  return {}
end
local member = member_of(id, value)

-- Leases are few: one for each batch in hand. A lease is unpacked only if it may have the member,
-- which stands in it as it is. One without an end holds nothing: see holding.lua.
local function holder()
  local tokens = redis.call('ZRANGE', ends, 0, -1, 'WITHSCORES')
  for at = 1, #tokens, 2 do
    local kept = redis.call('HGET', leases, tokens[at])
    if kept and string.find(kept, member, 1, true) then
      local lease = cmsgpack.unpack(kept)
      for _, each in ipairs(lease[2]) do
        if each == member then
          return lease[1], tokens[at + 1]
        end
      end
    end
  end
  return false, false
end

local state = state_of(id, member)
local due_at, owner, lease_end = false, false, false
if state == SCHEDULED then
  due_at = time_of(member)
elseif state == CLAIMED then
  owner, lease_end = holder()
end
local follows = recurs(member) and redis.call('HGET', successors, member)
return { state, due_at, redis.call('HGET', lapses, member), owner, lease_end, follows,
  follows and value, follows and redis.call('HGET', changes, member),
  state == SCHEDULED and time_aside(member) and 1 or 0 }
