-- Delete records and return what they were. KEYS: the records.
local replies = {}
for index, key in ipairs(KEYS) do
  replies[index] = redis.call('GET', key)
end
for _, key in ipairs(KEYS) do
  redis.call('DEL', key)
end
return replies
