"""From files to digests: in parallel, in shards, and from a cache."""
