-- Stores groups of messages, each whole or not at all. args: now, groups as replace and count in
-- turn, messages as six in turn: id, kind and event name, due time, time for the index, the line
-- of its creation, record; and by their places among the messages the dead letters, each as its
-- reason or false, and its death. For each group "" when it is stored, else the id that is taken.
-- What replaces another "as is" keeps its creation.
--
-- A line of creation is the moment of it; behind a tab the delivery id, if it is another than that
-- tells; and behind one more the moment that was given, if it is another.

local groups, given, letters = args[2], args[3], args[4]
local FIELDS = 6
local AS_IS = 'as is'
local LAST = 253402300799999999 -- the end of the year 9999

local function created(line)
  return string.match(line, '^[^\t]*')
end

local function given_moment(line)
  return string.match(line, '^[^\t]*\t[^\t]*\t(.*)$') or created(line)
end

local function creation(value)
  local feed = string.find(value, '\n', 14, true)
  return feed and string.match(value, '^([^\n]*)', feed + 1) or ''
end

local function is_repeat(line, value)
  return given_moment(creation(value)) == given_moment(line)
end

-- The line of its creation for what replaces something: later than that, so that its delivery id
-- is new.
local function newer(line, value)
  local replaced = tonumber(created(creation(value)))
  if not replaced or tonumber(created(line)) > replaced then
    return line
  end
  local step = 1
  while replaced + step == replaced do -- beyond the year 2255 not every microsecond is a number
    step = step * 2
  end
  if replaced + step > LAST then
    return line
  end
  return string.format('%.0f', replaced + step) .. '\t\t' .. given_moment(line)
end

local ids = {}
for at = 1, #given, FIELDS do
  ids[#ids + 1] = given[at]
end
local found = read('HMGET', messages, ids)
local number = take_numbers(#ids)
local records, line_up, by_name, replaced, outcomes = {}, {}, {}, {}, {}
local buried, died, why = {}, {}, {}
local done = 0

-- Notes what is stored as a dead letter.
local function bury(id, member, listed, letter)
  buried[#buried + 1] = listed
  buried[#buried + 1] = id
  died[#died + 1] = member
  died[#died + 1] = letter[2]
  if letter[1] then
    why[#why + 1] = id
    why[#why + 1] = letter[1]
  end
end

for group = 1, #groups, 2 do
  local replace, count = groups[group], groups[group + 1]
  local taken = ''
  if not replace then
    for each = done + 1, done + count do
      local line = given[(each - 1) * FIELDS + 5]
      if found[each] and not is_repeat(line, found[each]) then
        taken = ids[each]
        break
      end
    end
  end
  if taken == '' then
    for each = done + 1, done + count do
      local id, value, at = ids[each], found[each], (each - 1) * FIELDS
      local creation_line, event = given[at + 5], string.sub(given[at + 2], 2)
      local stays = value
      if value and replace
        and not (is_repeat(creation_line, value) and not redis.call('ZSCORE', dead, id))
      then
        if replace ~= AS_IS then
          creation_line = newer(creation_line, value)
        end
        local member = member_of(id, value)
        replaced[#replaced + 1] = { id, member, state_of(id, member), event, letters[each] }
        stays = false
      end
      if not stays then -- else it is a repeat
        number = number + 1
        local line = line_of(number, given[at + 2])
        records[#records + 1] = id
        records[#records + 1] = line .. '\n' .. creation_line .. '\n' .. given[at + 6]
        local letter = letters[each]
        if letter then
          bury(id, line .. '\n' .. id, given[at + 4], letter)
        else
          line_up[#line_up + 1] = given[at + 3]
          line_up[#line_up + 1] = line .. '\n' .. id
          note_series(line .. '\n' .. id)
          stands(given[at + 3])
        end
        local list = list_of(by_name, event)
        list[#list + 1] = given[at + 4]
        list[#list + 1] = id
      end
    end
  end
  outcomes[#outcomes + 1] = taken
  done = done + count
end

-- What was kept before under the ids of the first records, so many of them.
local function restore(count)
  local before = {}
  for each, id in ipairs(ids) do
    before[id] = found[each]
  end
  for each = 1, 2 * count, 2 do
    local id = records[each]
    if before[id] then
      redis.call('HSET', messages, id, before[id])
    else
      redis.call('HDEL', messages, id)
    end
  end
end

-- Keeps all records or none of them, although a command takes only so many.
local function keep()
  for first = 1, #records, SLICE do
    local last = math.min(first + SLICE - 1, #records)
    local answer = redis.pcall('HSET', messages, unpack(records, first, last))
    if type(answer) == 'table' and answer.err then
      restore((first - 1) / 2)
      error(answer.err)
    end
  end
end

enter(by_name) -- first: of all keys only one of these may be somebody else's, and then it fails
for _, old in ipairs(replaced) do
  announce(old[2], old[3])
end
write('ZADD', due, line_up)
write('HSET', deaths, died)
write('ZADD', dead, buried)
keep()
for _, old in ipairs(replaced) do
  local id, member, event = old[1], old[2], parts(old[2])
  clear(id, member, old[3], old[5])
  if event ~= old[4] then
    leave({ [event] = { id } })
  end
end
write('HSET', reasons, why) -- now, as those of what made way are gone
wake('')
return outcomes
