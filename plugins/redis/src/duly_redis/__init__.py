"""The Redis store of duly: messages in one Redis, under Sentinel, or in a Redis Cluster."""

from duly_redis.store import RedisStore

__all__ = ["RedisStore"]
