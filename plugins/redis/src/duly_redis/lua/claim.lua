-- First settles, then brings back what lapsed, then claims. args: now, settles, tokens of claims
-- that nobody got the answer of, limit (0: claim nothing, only look), length of the lease, owner,
-- whether suspects too, token, who is not to be woken by this.
-- Answers now, outcomes, the tokens found, members, messages, lapses, changes, what is ahead:
-- the due times of the next message and of the next suspect and the next end of a lease; and what
-- follows those that are series.

local limit, length, owner, with_suspects, token = args[4], args[5], args[6], args[7], args[8]
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

-- What a claim takes: the first of all if it is a suspect, else the first of the others.
local function line_to_take()
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  local suspect = with_suspects and redis.call('ZRANGE', suspects, 0, 0, 'WITHSCORES') or {}
  if not suspect[1] or tonumber(suspect[2]) > now then
    return due, limit
  end
  local at, of_suspect = tonumber(first[2]), tonumber(suspect[2])
  if at and (at < of_suspect or at == of_suspect
      and tonumber(string.sub(first[1], 1, 12), 16) < tonumber(string.sub(suspect[1], 1, 12), 16))
  then
    return due, limit
  end
  return suspects, 1
end

local members, scores = {}, {}
local held = limit > 0 and lease_of(token)
if held then -- the driver asked twice, and the answer to the first time was lost
  members = held[2]
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
}
