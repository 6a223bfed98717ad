-- All that is in leases. args: now. Members, those among them that are gone included.

local held = {}
for _, kept in ipairs(redis.call('HVALS', leases)) do
  for _, member in ipairs(cmsgpack.unpack(kept)[2]) do
    held[#held + 1] = member
  end
end
return held
