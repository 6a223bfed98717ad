-- Stands in front of the script that claims: of which event names it may hand out how many. The
-- same as duly.store.Rooms does; order of names is that of their bytes.

local PAUSED = -1
local DOT = 46

-- Told are, of each key, its number; and in order the names among the keys, and what stands before
-- the "*" of the others. False when every name may give as many as fit.
local function rooms_of(told)
  local most, stems = told and told[1] or {}, told and told[2] or {}
  local left, rooms, known = {}, {}, {}
  for key, number in pairs(most) do
    left[key] = number
  end

  local function look_up(name)
    if most[name] then
      return name
    end
    for at = #name, 1, -1 do
      if string.byte(name, at) == DOT then
        local key = string.sub(name, 1, at) .. '*'
        if most[key] then
          return key
        end
      end
    end
    return most['*'] and '*' or false
  end

  -- The key that counts for a name, else false.
  local function key_of(name)
    local key = told and known[name]
    if told and key == nil then
      key = look_up(name)
      known[name] = key
    end
    return key
  end

  -- How many may still be handed out; false: as many as fit.
  function rooms.left(name)
    local key = key_of(name)
    return key and math.max(0, left[key])
  end

  function rooms.may_wait(name, is_series)
    local key = key_of(name)
    return not is_series or (key and most[key] == PAUSED)
  end

  function rooms.passes_over(name)
    local key = key_of(name)
    return key and most[key] <= 0
  end

  function rooms.hand_out(name, count)
    local key = key_of(name)
    if key then
      left[key] = left[key] - count
    end
  end

  -- The place of the first stem behind a name.
  local function stem_behind(name)
    local low, high = 1, #stems + 1
    while low < high do
      local middle = math.floor((low + high) / 2)
      if comes_before(name, stems[middle]) then
        high = middle
      else
        low = middle + 1
      end
    end
    return low
  end

  -- Where names may begin, from this one on, of which some may be handed out, or none; nil: nowhere.
  function rooms.first(name, is_open)
    while (rooms.left(name) ~= 0) ~= is_open do
      local key = key_of(name)
      local stem = key and string.sub(key, 1, -2) or ''
      local next = stems[stem_behind(name)]
      if key == name then
        name = name .. '\0'
      elseif next and string.sub(next, 1, #stem) == stem then
        name = next
      elseif stem ~= '' then -- behind all that begin with it
        name = string.sub(stem, 1, -2) .. string.char(DOT + 1)
      else
        return nil
      end
    end
    return name
  end

  return rooms
end
