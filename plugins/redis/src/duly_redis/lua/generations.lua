-- Stands in front of the scripts that compare generations: of 19 digits, of which a number of Lua
-- holds 15.

local function is_below(one, other)
  for _, first in ipairs({ 1, 11 }) do
    local a = tonumber(string.sub(one, first, math.min(first + 9, 19)))
    local b = tonumber(string.sub(other, first, math.min(first + 9, 19)))
    if a ~= b then
      return a < b
    end
  end
  return false
end
