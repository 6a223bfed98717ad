-- Removes some of what was declared with a lower generation. args: now, the generation and the name,
-- cursor, how many to look at. The next cursor, and in turn ids and the states they were in.

although_memory_is_full()

local of, cursor, count = args[2], args[3], args[4]
local set = set_of(of)
local page = redis.call('SSCAN', set, cursor, 'COUNT', count)
local gone = {}
for _, member in ipairs(page[2]) do
  local _, id = parts(member)
  local value = redis.call('HGET', messages, id)
  local declared_by = redis.call('HGET', declared, member)
  if not declared_by or set_of(declared_by) ~= set then
    redis.call('SREM', set, member)
  elseif not value or member_of(id, value) ~= member then -- an older version has removed it
    forget_series(member)
  elseif is_below(declared_by, of) then
    gone[#gone + 1] = id
    gone[#gone + 1] = remove(id, value)
  end
end
return { page[1], gone }
