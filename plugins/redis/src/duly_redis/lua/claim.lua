-- First settles, then brings back what lapsed, then claims. args: now, settles, tokens of claims
-- that nobody got the answer of, limit (0: claim nothing, only look), length of the lease, owner,
-- whether suspects too, token, who is not to be woken by this; how many may be handed out of which
-- names, see rooms.lua, or false; whether messages may be moved aside; the name whose siding was
-- visited last, how many of the limit sidings give before the main line does, how many of them are
-- visited, how many messages of the main line are looked at, and from which place on suspects are.
-- Answers now, outcomes, the tokens found, members, messages, lapses, changes, what is ahead:
-- the due times of the next message and of the next suspect and the next end of a lease; what
-- follows those that are series; and of lines how many were moved aside, whether a siding gives more,
-- whether one is kept back, the name that was visited last, and the place from which on suspects are
-- to be looked at, or nothing when all is plain.

local limit, length, owner, with_suspects, token = args[4], args[5], args[6], args[7], args[8]
local told, moves, visited, half, most_sidings, looked_at = args[10], args[11], args[12], args[13],
  args[14], args[15]
local suspects_from = args[16]
local LAPSED_AT_ONCE = 10000 -- messages after which the rest waits for the next claim

local outcomes = settle_all(args[2])

local found = {}
for _, lost in ipairs(args[3]) do
  if redis.call('HEXISTS', leases, lost) == 1 then
    give_back(lost, 0)
    found[#found + 1] = lost
  end
end

local back = 0
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 1000)) do
  if back < LAPSED_AT_ONCE then
    back = back + give_back(lapsed, 1)
  end
end

-- Whether a suspect is the first of all. Then a claim takes that alone, else some of the others.
local function comes_first(suspect, score)
  local of_suspect = tonumber(score)
  if not suspect or of_suspect > now then
    return false
  end
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  local at = tonumber(first[2])
  return not (at and (at < of_suspect or at == of_suspect
    and tonumber(string.sub(first[1], 1, 12), 16) < tonumber(string.sub(suspect, 1, 12), 16)))
end

local function line_to_take()
  local suspect = with_suspects and redis.call('ZRANGE', suspects, 0, 0, 'WITHSCORES') or {}
  if comes_first(suspect[1], suspect[2]) then
    return suspects, 1
  end
  return due, limit
end

local members, scores = {}, {}
local moved = 0
local plain = not told and not exists(aside)
local rooms = not plain and rooms_of(told)
local sidings = rooms and sidings_of(rooms, most_sidings, visited)

-- The same along all lines.
local function take_along_lines()
  local suspect, score
  if with_suspects then
    suspect, score = first_suspect(rooms, moves, suspects_from, looked_at)
  end
  local looked = 0
  if comes_first(suspect, score) then
    rooms.hand_out((parts(suspect)), 1)
    members, scores = { suspect }, { score }
  else
    local taken = sidings.take(half)
    looked, moved = look_past(limit - taken, looked_at, rooms, sidings, moves, members, scores)
    sidings.take(limit - taken - #members)
    if #sidings.members > 0 then
      for each, member in ipairs(sidings.members) do
        members[#members + 1] = member
        scores[#scores + 1] = sidings.scores[each]
      end
      sort(members, scores)
    end
    suspect = nil
  end
  if #members > 0 then
    redis.call('ZADD', ends, now + length, token)
    keep_lease(token, owner, members, scores)
  end
  if suspect then
    redis.call('ZREM', suspects, suspect)
  elseif looked > 0 then
    redis.call('ZREMRANGEBYRANK', due, 0, looked - 1)
  end
  sidings.leave()
end

local held = limit > 0 and lease_of(token)
if held then -- the driver asked twice, and the answer to the first time was lost
  members = held[2]
elseif limit > 0 and not plain then
  take_along_lines()
elseif limit > 0 then
  local line, most = line_to_take()
  local taken = redis.call('ZRANGEBYSCORE', line, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
  for each = 1, #taken, 2 do
    members[#members + 1] = taken[each]
    scores[#scores + 1] = taken[each + 1]
  end
  if #members > 0 then
    redis.call('ZADD', ends, now + length, token)
    keep_lease(token, owner, members, scores)
    redis.call('ZREMRANGEBYRANK', line, 0, #members - 1)
  end
end

local ids = {}
for each, member in ipairs(members) do
  local _, id = parts(member)
  ids[each] = id
end
local kept = read('HMGET', messages, ids)
if #ids > 0 and exists(dead) then -- a step that failed may have left there what it replaced
  for each, at in ipairs(read('ZMSCORE', dead, ids)) do
    if at and kept[each] and member_of(ids[each], kept[each]) == members[each] then
      redis.call('ZREM', dead, ids[each])
      redis.call('HDEL', reasons, ids[each])
      redis.call('HDEL', deaths, members[each])
    end
  end
end
local nearest, first_end = redis.call('ZRANGE', ends, 0, 1, 'WITHSCORES'), ''
if nearest[1] and nearest[1] ~= token then
  first_end = nearest[2]
elseif nearest[3] then
  first_end = nearest[4]
end
local ahead = { redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2] or '',
  redis.call('ZRANGE', suspects, 0, 0, 'WITHSCORES')[2] or '' }
if earliest then -- some of what was put back may have been taken again
  earliest = false
  for _, moment in ipairs(ahead) do
    if moment ~= '' then
      stands(tonumber(moment))
    end
  end
end
local gives, is_kept_back = false, false
if not plain then
  gives, is_kept_back = sidings.rest(told)
  if with_suspects then
    local _, score, on = first_suspect(rooms, moves, suspects_from, looked_at)
    ahead[2], suspects_from = score or '', on
  end
end
wake(args[9])
return {
  now,
  outcomes,
  found,
  members,
  kept,
  exists(lapses) and read('HMGET', lapses, members) or {},
  exists(changes) and read('HMGET', changes, members) or {},
  ahead[1],
  ahead[2],
  first_end,
  exists(successors) and read('HMGET', successors, members) or {},
  plain and {} or { moved, gives and 1 or 0, is_kept_back and 1 or 0, sidings.visited,
    suspects_from },
}
