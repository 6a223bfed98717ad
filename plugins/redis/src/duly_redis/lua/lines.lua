-- Stands in front of the script that claims: what it takes when names are limited, or some stand
-- aside. All within functions, so that it costs nothing when that is not so.

local PAGE = 100 -- names, or suspects, that are looked up at once

-- What is taken out of sidings, in turn. Nothing leaves one before the lease is kept: until then it
-- is only noted here.
local function sidings_of(rooms, most_sidings, visited)
  local sidings = { members = {}, scores = {}, visited = visited }
  local noted, by_name, totals = {}, {}, {}

  local function ahead_in(event)
    local first = ask('ZRANGE', siding(event), 0, 0, 'WITHSCORES')
    return first and first[2] and tonumber(first[2])
  end

  local function total_of(event)
    if not totals[event] then
      totals[event] = redis.call('ZSCORE', aside, event) and ask('ZCARD', siding(event)) or 0
    end
    return totals[event]
  end

  -- Whether any of a name stands aside, but for what is noted.
  function sidings.holds(event)
    return total_of(event) > #list_of(by_name, event)
  end

  -- Whether something may be put there, and not somebody else's key stands in the way.
  function sidings.can_hold(event)
    local kind = redis.call('TYPE', siding(event)).ok
    return kind == 'zset' or kind == 'none'
  end

  -- Whether it is not taken yet. A step that failed may have left one in the main line as well.
  function sidings.is_new(member)
    local is_new = not noted[member]
    noted[member] = true
    return is_new
  end

  -- To be called when the first of a name is to be put there.
  function sidings.begins(event)
    totals[event] = total_of(event) + 1
  end

  -- Calls what it is given with names that have sidings, from one on, until it returns true. It
  -- passes all those that may give nothing, or something, in few steps.
  local function walk(from, is_open, look)
    local at = rooms.first(from, is_open)
    while at do
      local page = redis.call('ZRANGEBYLEX', aside, '[' .. at, '+', 'LIMIT', 0, PAGE)
      for _, event in ipairs(page) do
        if (rooms.left(event) ~= 0) == is_open and look(event) then
          return true
        end
      end
      at = #page == PAGE and rooms.first(page[PAGE] .. '\0', is_open)
    end
    return false
  end

  local function take_of(event, wanted)
    local left, of_name = rooms.left(event), list_of(by_name, event)
    local count = left and math.min(left, wanted) or wanted
    local first = ask('ZRANGEBYSCORE', siding(event), '-inf', now, 'WITHSCORES', 'LIMIT', 0,
      count + #of_name) or {}
    local found = 0
    for each = 1, #first, 2 do
      local member = first[each]
      if found < count and not noted[member] then
        noted[member], found = true, found + 1
        of_name[#of_name + 1] = member
        sidings.members[#sidings.members + 1] = member
        sidings.scores[#sidings.scores + 1] = first[each + 1]
      end
    end
    rooms.hand_out(event, found)
    return found
  end

  -- Notes the first of those that may give some, in turn.
  function sidings.take(limit)
    local giving, start, taken = {}, sidings.visited, 0
    if limit > 0 and exists(aside) then
      local function add(event)
        giving[#giving + 1] = sidings.holds(event) and event or nil
        return #giving == most_sidings
      end
      if not walk(start .. '\0', true, add) then
        walk('', true, function(event)
          return comes_before(start, event) or add(event)
        end)
      end
    end
    while #giving > 0 and taken < limit do
      local each, on = math.max(1, math.floor((limit - taken) / #giving)), {}
      for _, event in ipairs(giving) do
        local wanted = math.min(each, limit - taken)
        if wanted == 0 then
          break
        end
        local found = take_of(event, wanted)
        taken, sidings.visited = taken + found, event
        if found == wanted and rooms.left(event) ~= 0 then
          on[#on + 1] = event
        end
      end
      giving = on
    end
    return taken
  end

  -- To be called when the lease is kept: what was noted is in it.
  function sidings.leave()
    for event, members in pairs(by_name) do
      leave_siding(event, members)
    end
  end

  -- Whether any gives more, and whether any is kept back.
  function sidings.rest(is_limited)
    if not exists(aside) then
      return false, false
    end
    local gives = walk('', true, function(event)
      local first = ahead_in(event)
      return first and first <= now
    end)
    return gives, is_limited and walk('', false, ahead_in)
  end

  return sidings
end

-- The first suspect that is not passed over, and its due time. No more of them are looked at than of
-- the main line: where these are all passed over, the claims that follow go on behind them, after
-- the very first ones, and begin anew at the end. So none is passed by for ever, and none holds up
-- others. Third is the place at which the next claim goes on.
local function first_suspect(rooms, moves, from, most)
  local at = 0
  repeat
    local page = redis.call('ZRANGE', suspects, at, at + PAGE - 1, 'WITHSCORES')
    for each = 1, #page, 2 do
      if not (moves and rooms.passes_over((parts(page[each])))) then
        return page[each], page[each + 1], 0
      end
    end
    at = math.max(at + PAGE, at == 0 and from or 0)
    if #page < 2 * PAGE then
      return nil, nil, 0
    end
  until at >= from + most
  return nil, nil, at
end

-- Looks at the main line from its head. What may be handed out is added to the members and scores,
-- and what must wait is moved aside; that still stands in the main line as well. How many were
-- looked at, and moved.
local function look_past(limit, looked_at, rooms, sidings, moves, members, scores)
  local looked, moved, by_name, begun, free = 0, 0, {}, {}, {}
  local page, met = math.max(limit, PAGE), {}
  local function waits(event, member)
    if not moves or event == '' or not (sidings.holds(event) or rooms.left(event) == 0)
      or not rooms.may_wait(event, recurs(member))
    then
      return false
    end
    if free[event] == nil then
      free[event] = sidings.can_hold(event)
    end
    return free[event]
  end
  while limit > 0 and looked < looked_at do
    local at = 2 * (looked % page) + 1
    if at == 1 then
      met = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'WITHSCORES', 'LIMIT', looked, page)
    end
    local member, score = met[at], met[at + 1]
    if not member then
      break
    end
    local event = parts(member)
    local list = by_name[event] -- of what waits: who has that goes on to wait
    looked = looked + 1
    if list and not recurs(member) or waits(event, member) then
      if not list then
        list = list_of(by_name, event)
        begun[#begun + 1] = 0
        begun[#begun + 1] = event
        sidings.begins(event)
      end
      list[#list + 1] = score
      list[#list + 1] = member
      moved = moved + 1
    elseif sidings.is_new(member) then
      limit = limit - 1
      rooms.hand_out(event, 1)
      members[#members + 1] = member
      scores[#scores + 1] = score
    end
  end
  write('ZADD', aside, begun)
  for event, list in pairs(by_name) do
    write('ZADD', siding(event), list)
  end
  return looked, moved
end

-- Sorts members by their due times, then by the order in which they were stored.
local function sort(members, scores)
  local places = {}
  for each, member in ipairs(members) do
    places[each] = { tonumber(scores[each]), tonumber(string.sub(member, 1, 12), 16) or 0, member,
      scores[each] }
  end
  table.sort(places, function(one, other)
    return one[1] < other[1] or one[1] == other[1] and one[2] < other[2]
  end)
  for each, place in ipairs(places) do
    members[each], scores[each] = place[3], place[4]
  end
end
