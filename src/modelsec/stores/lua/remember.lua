-- Update one record a key and return the records as they now are. See stores/cells.py, the
-- reference, and stores/codec.py, the layout. Portable Lua 5.1: no struct, no bit library.
-- KEYS: the records.
-- ARGV, for each key in turn:
--   its layout, "" if it is that of the key before: ttl in seconds, space, max_bytes, space, and
--     for each cell its tag (4 bytes), first letter of its kind, limit and semicolon;
--   now_ms, or "" for the server's clock;
--   a payload for each cell, except for cells of kind gaps.
local byte, char, sub, floor = string.byte, string.char, string.sub, math.floor
local concat, min, max = table.concat, math.min, math.max

local function u16(text, at)
  local a, b = byte(text, at, at + 1)
  return a * 256 + b
end

local function u48(text, at)
  local a, b, c, d, e, f = byte(text, at, at + 5)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end

local function pack16(number)
  return char(floor(number / 256), number % 256)
end

local function pack32(number)
  return char(floor(number / 16777216), floor(number / 65536) % 256,
    floor(number / 256) % 256, number % 256)
end

local function pack48(number)
  return pack16(floor(number / 4294967296)) .. pack32(number % 4294967296)
end

local function damaged(what)
  return redis.error_reply('MODELSEC the record is damaged: ' .. what)
end

-- Returns last_ms, count, order of tags, cells by tag; or nil and an error.
local function decode(raw)
  local length = #raw
  if length < 15 or sub(raw, 1, 2) ~= 'MS' then
    return nil, redis.error_reply('MODELSEC the value is not a modelsec record: another program '
      .. 'uses this key; give the store a prefix of its own, or delete the key')
  end
  if byte(raw, 3) ~= 1 then
    return nil, redis.error_reply('MODELSEC the record has version ' .. byte(raw, 3)
      .. ', this modelsec knows version 1: upgrade the process that wrote this message')
  end
  if u16(raw, 4) ~= length then return nil, damaged('its header says another length') end
  local order, cells, at, n = {}, {}, 16, 0
  while at <= length do
    if at + 5 > length then return nil, damaged('a cell header ends outside it') end
    local tag, stop = sub(raw, at, at + 3), at + 5 + u16(raw, at + 4)
    if stop > length then return nil, damaged('a cell ends outside it') end
    if not cells[tag] then
      n = n + 1
      order[n] = tag
    end
    cells[tag] = sub(raw, at + 6, stop)
    at = stop + 1
  end
  return u48(raw, 6), u16(raw, 12) * 65536 + u16(raw, 14), order, cells
end

local function advanced(old, kind, limit, payload, gap_ms, now_ms)
  if kind == 'r' then return sub((old or '') .. payload, -limit) end
  if kind == 'g' then
    return sub((old or '') .. char(gap_ms % 256, floor(gap_ms / 256)), -limit)
  end
  local number = tonumber(payload)
  if kind == 't' then
    local total = 0
    if old then
      total = tonumber(sub(old, 7))
      if not total then return nil end
      if limit > 0 then
        total = total * 0.5 ^ (max(0, now_ms - u48(old, 1)) / 1000 / limit)
      end
    end
    return pack48(now_ms) .. string.format('%.17g', total + number)
  end
  if kind == 'p' then
    if not old then return string.format('%.17g', number) end
    if not tonumber(old) then return nil end
    return string.format('%.17g', max(tonumber(old), number))
  end
  if kind == 'd' then
    old = old or string.rep('\0', limit)
    if #old ~= limit then return nil end
    local at, bit = floor(number / 8) + 1, 2 ^ (number % 8)
    local value = byte(old, at)
    if not value then return nil end
    if floor(value / bit) % 2 == 0 then value = value + bit end
    return sub(old, 1, at - 1) .. char(value) .. sub(old, at + 1)
  end
  return nil
end

-- Returns the packed record, with all cells or only those in `named`.
local function assemble(order, cells, named, now_ms, count)
  local parts, n, size = { '' }, 1, 15
  for _, tag in ipairs(order) do
    if not named or named[tag] then
      local value = cells[tag]
      local length = #value
      parts[n + 1], parts[n + 2], parts[n + 3] = tag, pack16(length), value
      n = n + 3
      size = size + 6 + length
    end
  end
  if size > 65535 then return nil, size end
  parts[1] = 'MS\1' .. pack16(size) .. pack48(now_ms) .. pack32(count)
  return concat(parts), size
end

-- Returns { ttl =, max_bytes =, and for each cell: tag, kind, limit in turn }.
local function parsed(text)
  local ttl, max_bytes, at = string.match(text, '^(%d+) (%d+) ()')
  local layout, n = { ttl = tonumber(ttl), max_bytes = tonumber(max_bytes) }, 0
  while at <= #text do
    local limit, after = string.match(text, '^([^;]+);()', at + 5)
    layout[n + 1], layout[n + 2] = sub(text, at, at + 3), sub(text, at + 4, at + 4)
    layout[n + 3] = tonumber(limit)
    n, at = n + 3, after
  end
  return layout
end

local layout
local replies, ttls, pending, server_ms, at = {}, {}, {}, nil, 1
for index, key in ipairs(KEYS) do
  if ARGV[at] ~= '' then layout = parsed(ARGV[at]) end
  local now_ms, ttl, max_bytes = tonumber(ARGV[at + 1]), layout.ttl, layout.max_bytes
  at = at + 2
  if not now_ms then
    if not server_ms then
      local time = redis.call('TIME')
      server_ms = time[1] * 1000 + floor(time[2] / 1000)
    end
    now_ms = server_ms
  end
  local gap_ms, count, order, cells = 65535, 1, {}, {}
  local raw = pending[key] or redis.call('GET', key)
  if raw then
    local last_ms, before, old_order, old_cells = decode(raw)
    if not last_ms then return before end
    if now_ms < last_ms and last_ms - now_ms <= 300000 then now_ms = last_ms end
    if now_ms - last_ms < ttl * 1000 then
      gap_ms = min(max(0, now_ms - last_ms), 65535)
      count, order, cells = min(before + 1, 4294967295), old_order, old_cells
    end
  end
  for i = 1, #layout, 3 do
    local tag, kind = layout[i], layout[i + 1]
    local old = cells[tag]
    local value = advanced(old, kind, layout[i + 2], ARGV[at], gap_ms, now_ms)
    if not value then return damaged('a cell of kind ' .. kind .. ' cannot be read') end
    if not old then order[#order + 1] = tag end
    cells[tag] = value
    if kind ~= 'g' then at = at + 1 end
  end
  local packed, size = assemble(order, cells, nil, now_ms, count)
  if size > max_bytes then
    -- Cells of other detectors are guests: when there is no room they go first.
    local named = {}
    for i = 1, #layout, 3 do named[layout[i]] = true end
    packed, size = assemble(order, cells, named, now_ms, count)
  end
  if size > max_bytes then
    return redis.error_reply('MODELSEC the record would take ' .. size .. ' bytes, '
      .. max_bytes .. ' are allowed')
  end
  replies[index], ttls[index], pending[key] = packed, ttl, packed
end
-- Nothing was written until here: a call happens whole or not at all.
for index, key in ipairs(KEYS) do
  redis.call('SET', key, replies[index], 'EX', ttls[index])
end
return replies
