-- Update one record a key and return the records as they now are. See stores/cells.py, the
-- reference, and stores/codec.py, the layout. Portable Lua 5.1: no struct, no bit library.
-- KEYS: the records.
-- ARGV, for each key in turn: now_ms or "" for the server's clock, ttl in seconds, max_bytes,
--   number of cells, then for each cell: tag, kind, limit, payload.
local byte, char, sub, floor = string.byte, string.char, string.sub, math.floor

local function u16(text, at)
  local a, b = byte(text, at, at + 1)
  return a * 256 + b
end

local function u48(text, at)
  local a, b, c, d, e, f = byte(text, at, at + 5)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end

local function pack(number, width)
  local bytes = {}
  for i = width, 1, -1 do
    bytes[i] = char(number % 256)
    number = floor(number / 256)
  end
  return table.concat(bytes)
end

local function damaged(what)
  return redis.error_reply('MODELSEC the record is damaged: ' .. what)
end

-- Returns last_ms, count, order of tags, cells by tag; or nil and an error.
local function decode(raw)
  if #raw < 15 or sub(raw, 1, 2) ~= 'MS' then
    return nil, redis.error_reply('MODELSEC the value is not a modelsec record: another program '
      .. 'uses this key; give the store a prefix of its own, or delete the key')
  end
  if byte(raw, 3) ~= 1 then
    return nil, redis.error_reply('MODELSEC the record has version ' .. byte(raw, 3)
      .. ', this modelsec knows version 1: upgrade the process that wrote this message')
  end
  if u16(raw, 4) ~= #raw then return nil, damaged('its header says another length') end
  local order, cells, at, length = {}, {}, 16, #raw
  while at <= length do
    if at + 5 > length then return nil, damaged('a cell header ends outside it') end
    local tag, stop = sub(raw, at, at + 3), at + 5 + u16(raw, at + 4)
    if stop > length then return nil, damaged('a cell ends outside it') end
    if not cells[tag] then order[#order + 1] = tag end
    cells[tag] = sub(raw, at + 6, stop)
    at = stop + 1
  end
  return u48(raw, 6), u16(raw, 12) * 65536 + u16(raw, 14), order, cells
end

local function advanced(old, kind, limit, payload, gap_ms, now_ms)
  if kind == 'ring' then return sub((old or '') .. payload, -limit) end
  if kind == 'gaps' then
    return sub((old or '') .. char(gap_ms % 256, floor(gap_ms / 256)), -limit)
  end
  local number = tonumber(payload)
  if kind == 'total' then
    local total = 0
    if old then
      total = tonumber(sub(old, 7))
      if not total then return nil end
      if limit > 0 then
        total = total * 0.5 ^ (math.max(0, now_ms - u48(old, 1)) / 1000 / limit)
      end
    end
    return pack(now_ms, 6) .. string.format('%.17g', total + number)
  end
  if kind == 'peak' then
    if not old then return string.format('%.17g', number) end
    if not tonumber(old) then return nil end
    return string.format('%.17g', math.max(tonumber(old), number))
  end
  if kind == 'distinct' then
    old = old or string.rep('\0', limit)
    if #old ~= limit then return nil end
    local at, bit = floor(number / 8) + 1, 2 ^ (number % 8)
    local value = byte(old, at)
    if floor(value / bit) % 2 == 0 then value = value + bit end
    return sub(old, 1, at - 1) .. char(value) .. sub(old, at + 1)
  end
  return nil
end

local replies, pending, server_ms, at = {}, {}, nil, 1
for index, key in ipairs(KEYS) do
  local now_ms, max_bytes, updates = tonumber(ARGV[at]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local ttl = tonumber(ARGV[at + 1])
  at = at + 4
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
      gap_ms = math.min(math.max(0, now_ms - last_ms), 65535)
      count, order, cells = math.min(before + 1, 4294967295), old_order, old_cells
    end
  end
  local named = {}
  for _ = 1, updates do
    local tag = ARGV[at]
    local value = advanced(cells[tag], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], gap_ms, now_ms)
    if not value then return damaged('a cell of kind ' .. ARGV[at + 1] .. ' cannot be read') end
    if not cells[tag] then order[#order + 1] = tag end
    cells[tag], named[tag] = value, true
    at = at + 4
  end
  local function assemble(all)
    local parts, size = { '' }, 15
    for _, tag in ipairs(order) do
      if all or named[tag] then
        parts[#parts + 1] = tag .. pack(#cells[tag], 2) .. cells[tag]
        size = size + 6 + #cells[tag]
      end
    end
    parts[1] = 'MS\1' .. pack(size, 2) .. pack(now_ms, 6) .. pack(count, 4)
    return table.concat(parts), size
  end
  local packed, size = assemble(true)
  -- Cells of other detectors are guests: when there is no room they go first.
  if size > max_bytes then packed, size = assemble(false) end
  if size > max_bytes then
    return redis.error_reply('MODELSEC the record would take ' .. size .. ' bytes, '
      .. max_bytes .. ' are allowed')
  end
  replies[index], pending[key] = { packed, ttl }, packed
end
-- Nothing was written until here: a call happens whole or not at all.
for index, key in ipairs(KEYS) do
  redis.call('SET', key, replies[index][1], 'EX', replies[index][2])
  replies[index] = replies[index][1]
end
return replies
