-- Stands in front of the scripts that read messages without their payloads.

-- The bytes of the length of a payload, by the mark in front of it.
local WIDTHS = { [0xc4] = 1, [0xc5] = 2, [0xc6] = 4 }

-- The same with an empty payload, which is the second of a record; what is no record stays.
local function without_payload(value)
  local line = string.find(value, '\n', 14, true)
  local at = line and string.find(value, '\n', line + 1, true)
  local width = at and WIDTHS[string.byte(value, at + 3)]
  if not width then
    return value
  end
  local size = 0
  for each = 1, width do
    size = size * 256 + (string.byte(value, at + 3 + each) or 0)
  end
  return string.sub(value, 1, at + 2) .. '\196\0' .. string.sub(value, at + 4 + width + size)
end
