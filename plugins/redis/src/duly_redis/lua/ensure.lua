-- Does what was decided about series. args: now, who declares them or false, orders: what to do,
-- id, the mark of what was looked at before or "", and by what to do
--   declare, remove: nothing more,
--   rewrite: the line of its creation, record, what follows or false,
--   store: kind and event name, due time, time for the index, the line of its creation, record,
--   move: the same, with false for the due time to keep place and lapses; what follows or false.
-- For each 1; 0 when it is not as it was; 2 when a newer generation is declared by now.

local of, orders = args[2], args[3]
local TIDIED_AT_ONCE = 20

-- Clears away some of what follows what is not kept any more: older versions leave it behind.
local function tidy()
  local page = redis.call('HSCAN', successors, string.format('%.0f', now), 'COUNT', TIDIED_AT_ONCE)
  for at = 1, #page[2], 2 do
    local _, id = parts(page[2][at])
    if not is_kept(id, page[2][at]) then
      redis.call('HDEL', successors, page[2][at])
    end
  end
end

local function store(order)
  local id, line, listed, creation_line = order[2], order[4], order[6], order[7]
  enter({ [string.sub(line, 2)] = { listed, id } })
  line = line_of(take_numbers(1) + 1, line)
  local member = line .. '\n' .. id
  if of then
    declare(member, of)
  end
  note_series(member)
  redis.call('ZADD', due, order[5], member)
  redis.call('HSET', messages, id, line .. '\n' .. creation_line .. '\n' .. order[8])
  stands(order[5])
end

local function rewrite(order, value, member)
  local line = string.match(value, '^[^\n]*')
  redis.call('HSET', messages, order[2], line .. '\n' .. order[4] .. '\n' .. order[5])
  if order[6] then
    redis.call('HSET', successors, member, order[6])
    tidy()
  else
    redis.call('HDEL', successors, member)
  end
end

local function relocate(order, member)
  local id, line, at, lapsed = order[2], order[4], order[5], nil
  if not at then
    at = time_of(member)
    lapsed = redis.call('HGET', lapses, member)
  end
  enter({ [string.sub(line, 2)] = { order[6], id } })
  move(id, member, state_of(id, member), line_of(take_numbers(1) + 1, line), at,
    '\n' .. order[7] .. '\n' .. order[8],
    { follows = order[9], lapsed = lapsed, of = of or redis.call('HGET', declared, member) })
end

local function carry_out(order)
  local what, id, mark = order[1], order[2], order[3]
  local value = redis.call('HGET', messages, id)
  local member = value and member_of(id, value)
  if mark ~= (value and mark_of(id, value, member) or '') then
    return 0
  elseif what == 'store' then
    store(order)
  elseif what == 'move' then
    relocate(order, member)
  elseif what == 'remove' then
    remove(id, value)
  else
    if what == 'rewrite' then
      rewrite(order, value, member)
    end
    if of then
      declare(member, of)
    end
  end
  return 1
end

local floor = of and redis.call('HGET', floors, string.sub(of, 21))
local is_older = floor and is_below(of, floor)
local answers = {}
for each, order in ipairs(orders) do
  answers[each] = is_older and 2 or carry_out(order)
end
wake('')
return answers
