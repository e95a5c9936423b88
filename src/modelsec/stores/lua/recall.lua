-- Read records without changing them. KEYS: the records. Returns a string or false for each.
local replies = {}
for index, key in ipairs(KEYS) do
  replies[index] = redis.call('GET', key)
end
return replies
