-- Delete records and return what they were. KEYS: the records.
-- If any value is not a whole record of ours (it may be another program's, or a newer modelsec's)
-- nothing is deleted.
local function u16(text, at)
  local a, b = string.byte(text, at, at + 1)
  return a * 256 + b
end

local function fault(raw)
  if #raw < 15 or string.sub(raw, 1, 2) ~= 'MS' then
    return 'the value is not a modelsec record: another program uses this key; give the store a '
      .. 'prefix of its own, or delete the key'
  end
  if string.byte(raw, 3) ~= 1 then
    return 'the record has version ' .. string.byte(raw, 3)
      .. ', this modelsec knows version 1: upgrade the process that wrote this message'
  end
  if u16(raw, 4) ~= #raw then return 'the record is damaged: its header says another length' end
  local at = 16
  while at + 5 <= #raw do
    at = at + 6 + u16(raw, at + 4)
  end
  if at ~= #raw + 1 then return 'the record is damaged: a cell ends outside it' end
  return nil
end

for _, key in ipairs(KEYS) do
  local raw = redis.call('GET', key)
  local what = raw and fault(raw)
  if what then return redis.error_reply('MODELSEC ' .. what) end
end
local replies = {}
for index, key in ipairs(KEYS) do
  replies[index] = redis.call('GET', key)
  redis.call('DEL', key)
end
return replies
