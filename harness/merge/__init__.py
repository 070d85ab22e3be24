"""One run made of shards that were run apart: found, checked against each other, put together."""
