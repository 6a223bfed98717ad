-- Settles without a claim. args: now, settles as token, members or false, exceptions. For each 1,
-- or 0 when its token is not valid.

local outcomes = settle_all(args[2])
wake('')
return outcomes
