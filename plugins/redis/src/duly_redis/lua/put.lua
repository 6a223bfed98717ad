-- Stores groups of messages, each whole or not at all. args: now, groups as replace and count in
-- turn, messages as six in turn: id, kind and event name, due time, time for the index, the line
-- of its creation, record. For each group "" when it is stored, else the id that is taken.

local groups, given = args[2], args[3]
local FIELDS = 6
local LAST = 253402300799999999 -- the end of the year 9999

local function created(line)
  return string.match(line, '^[^\t]*')
end

local function creation(value)
  local feed = string.find(value, '\n', 14, true)
  return feed and string.match(value, '^([^\t\n]*)', feed + 1) or ''
end

-- The line of its creation for what replaces something: later than that, so that its delivery id
-- is new.
local function newer(line, value)
  local replaced = tonumber(creation(value))
  if not replaced or tonumber(created(line)) > replaced then
    return line
  end
  local step = 1
  while replaced + step == replaced do -- beyond the year 2255 not every microsecond is a number
    step = step * 2
  end
  return replaced + step <= LAST and string.format('%.0f', replaced + step) or line
end

local ids = {}
for at = 1, #given, FIELDS do
  ids[#ids + 1] = given[at]
end
local found = read('HMGET', messages, ids)
local number = take_numbers(#ids)
local records, line_up, by_name, outcomes = {}, {}, {}, {}
local done = 0

for group = 1, #groups, 2 do
  local replace, count = groups[group], groups[group + 1]
  local taken = ''
  if not replace then
    for each = done + 1, done + count do
      local line = given[(each - 1) * FIELDS + 5]
      if found[each] and creation(found[each]) ~= created(line) then
        taken = ids[each]
        break
      end
    end
  end
  if taken == '' then
    for each = done + 1, done + count do
      local id, value, at = ids[each], found[each], (each - 1) * FIELDS
      local creation_line = given[at + 5]
      if value and replace then
        creation_line = newer(creation_line, value)
        remove(id, value)
        value = false
      end
      if not value then -- else it is a repeat
        number = number + 1
        local line = line_of(number, given[at + 2])
        records[#records + 1] = id
        records[#records + 1] = line .. '\n' .. creation_line .. '\n' .. given[at + 6]
        line_up[#line_up + 1] = given[at + 3]
        line_up[#line_up + 1] = line .. '\n' .. id
        local list = list_of(by_name, string.sub(given[at + 2], 2))
        list[#list + 1] = given[at + 4]
        list[#list + 1] = id
        stands(given[at + 3])
      end
    end
  end
  outcomes[#outcomes + 1] = taken
  done = done + count
end

enter(by_name) -- first: of all keys only one of these may be somebody else's, and then it fails
write('HSET', messages, records)
write('ZADD', due, line_up)
wake('')
return outcomes
