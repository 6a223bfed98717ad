-- Ends leases of an owner, some at a time. args: now, owner, cursor. How many messages were in them,
-- and the cursor to go on with, false when all is done. What has lapsed already is ended.

local owner, cursor = args[2], args[3]
local MESSAGES = 1000 -- in leases that were ended, after which it is enough for once
local BYTES = 1048576 -- the same, of leases of anybody
local A_LOOK = 1024 -- bytes that a look counts for, though it finds nothing

-- How a lease of that owner begins: a list of three, of which that is the first.
local beginning = '\147' .. cmsgpack.pack(owner)

-- Ends a lease; how many messages it holds, and how many there were.
local function end_now(token, kept)
  local members = cmsgpack.unpack(kept)[2]
  local count = #members
  for _ in pairs((gone_among(members))) do
    count = count - 1
  end
  redis.call('ZADD', ends, now, token)
  stands(now)
  return count, #members
end

local held, seen, size = 0, 0, 0
repeat
  local page = redis.call('HSCAN', leases, cursor, 'COUNT', 4)
  size = size + A_LOOK
  for at = 1, #page[2], 2 do
    local token, kept = page[2][at], page[2][at + 1]
    size = size + #kept
    if string.sub(kept, 1, #beginning) == beginning and is_valid(token) then
      if seen >= MESSAGES then -- there is more in this very page: once again from here
        wake('')
        return { held, cursor }
      end
      local count, all = end_now(token, kept)
      held, seen = held + count, seen + all
    end
  end
  cursor = page[1]
until cursor == '0' or size >= BYTES or seen >= MESSAGES
wake('')
return { held, cursor ~= '0' and cursor }
