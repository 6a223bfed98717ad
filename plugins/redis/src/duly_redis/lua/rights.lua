-- Tries every command that scripts use, in a way that changes nothing. ARGV: what to say on the
-- channel, packed, and the channel. What the user may not do: the command, or "channel" for that.
-- It stands alone: what stands in front of the others uses some of the commands.

local said = cmsgpack.unpack(ARGV[1])[1]
local withdrawn, numbers = KEYS[10], KEYS[12]
local nothing = string.sub(KEYS[1], 1, -4) .. 'name:' -- a key of the prefix that never is there
local denied = {}

local function is_denied(command, ...)
  local answer = redis.pcall(command, ...)
  local why = type(answer) == 'table' and answer.err or ''
  for _, words in ipairs({ 'NOPERM', "The user executing the script can't", 'ACL failure' }) do
    if string.find(why, words, 1, true) then
      denied[#denied + 1] = string.find(why, 'channel', 1, true) and 'channel' or command
      return true
    end
  end
  return false
end

for _, command in ipairs({ 'HDEL', 'ZREM', 'HEXISTS', 'HGET', 'HMGET', 'SISMEMBER', 'SMISMEMBER',
  'ZMSCORE', 'ZSCORE' }) do
  is_denied(command, nothing, '')
end
for _, command in ipairs({ 'EXISTS', 'GET', 'HGETALL', 'HLEN', 'HVALS', 'SCARD', 'SMEMBERS', 'TYPE',
  'ZCARD' }) do
  is_denied(command, nothing)
end
for _, command in ipairs({ 'HSCAN', 'SSCAN', 'ZSCAN' }) do
  is_denied(command, nothing, 0)
end
for _, command in ipairs({ 'ZCOUNT', 'ZRANGE', 'ZRANGEBYSCORE', 'ZREMRANGEBYRANK' }) do
  is_denied(command, nothing, 0, 0)
end
is_denied('ZRANGEBYLEX', nothing, '-', '+')
is_denied('TIME')
is_denied('ZADD', nothing, 'XX', 0, '')
is_denied('HSET', nothing, '', '', '') -- a field without a value: refused for that alone
is_denied('INCRBY', numbers, '') -- no number
if not is_denied('SREM', nothing, '') and not is_denied('SADD', withdrawn, '') then
  redis.pcall('SREM', withdrawn, '')
end
is_denied('PUBLISH', ARGV[2], said)
return denied
