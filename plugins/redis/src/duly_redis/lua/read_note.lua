-- Reads a note. args: now, name. Now, and what is kept or false.

return { now, redis.call('HGET', notes, args[2]) }
