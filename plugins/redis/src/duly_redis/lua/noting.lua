-- Stands in front of the scripts of notes: small documents beside the messages, all of them with the
-- first shard. A note is kept under its name as its revision and, right behind that, its value. The
-- names are in a set that is sorted by their bytes too, in which what begins with a text is found.

-- Reading a note counts as writing as well: what has become a replica, or has lost its own, refuses
-- it, and does not tell what somebody has changed elsewhere. And notes are written when memory is
-- full: what makes room may wait for that.
although_memory_is_full()

local notes, noted = base .. 'notes', base .. 'noted'
local REVISION = 32 -- bytes
