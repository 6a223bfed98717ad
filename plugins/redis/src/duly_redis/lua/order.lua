-- Stands in front of the scripts that sort texts.

-- By bytes; Lua's own order follows the locale of the server.
local function comes_before(one, other)
  for at = 1, math.min(#one, #other) do
    local a, b = string.byte(one, at), string.byte(other, at)
    if a ~= b then
      return a < b
    end
  end
  return #one < #other
end
