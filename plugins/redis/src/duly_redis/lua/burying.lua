-- Stands in front of the scripts that end leases: how a message dies. A death is kept apart from
-- the record, by its member: the moment of it, behind a space the class of the error if there is
-- one. An older version, which knows nothing of deaths, leaves them behind when it removes dead
-- letters or replays them; as a replay has another member, nobody takes that for its own.

local TIDIED_AT_ONCE = 20

-- Clears away deaths of what is not dead any more, some of them, while there are more than dead
-- letters. It starts anywhere, as whoever comes next goes on elsewhere.
local function tidy_deaths()
  if redis.call('HLEN', deaths) <= redis.call('ZCARD', dead) then
    return
  end
  local page = redis.call('HSCAN', deaths, string.format('%.0f', now), 'COUNT', TIDIED_AT_ONCE)[2]
  for at = 1, #page, 2 do
    local _, id = parts(page[at])
    if not (redis.call('ZSCORE', dead, id) and is_kept(id, page[at])) then
      redis.call('HDEL', deaths, page[at])
    end
  end
end

-- Last of all, so that nothing that lives has one.
local function keep_death(member, class)
  local moment = string.format('%.0f', now)
  redis.call('HSET', deaths, member, class and moment .. ' ' .. class or moment)
  tidy_deaths()
end

local function bury(member, event, id, reason, class)
  redis.call('ZADD', dead, ask_index('ZSCORE', event, id) or 0, id)
  redis.call('HSET', reasons, id, reason)
  keep_death(member, class)
end

-- Makes a dead letter of an occurrence, under an id that is free, or was taken for just this by a
-- settlement that failed.
local function bury_occurrence(event, id, listed, creation_line, record, reason, class)
  local rest = '\n' .. creation_line .. '\n' .. record
  local value = redis.call('HGET', messages, id)
  while value and string.sub(value, -#rest) ~= rest do
    id = id .. '+'
    value = redis.call('HGET', messages, id)
  end
  value = value or line_of(take_numbers(1) + 1, '-' .. event) .. rest
  list_under(event, id, listed)
  redis.call('ZADD', dead, listed, id)
  redis.call('HSET', reasons, id, reason)
  redis.call('HSET', messages, id, value)
  keep_death(member_of(id, value), class)
end
