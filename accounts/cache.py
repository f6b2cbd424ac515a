"""What is counted and hinted at: in Redis, or in the memory of this process.

Without Redis, and while it is away, memory is enough for one process: less exact for a
while is better than no answer.
"""

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import RedisError

logger = logging.getLogger("tertulia.app")

#: Seconds for which Redis is left alone after it failed: what hangs costs one wait of
#: its time-out in this time, not one for every request. It is logged as often.
REST = 10


@cache
def _client(servers: tuple[str, ...], options: tuple) -> RedisCacheClient:
    # Django makes a cache object per request; the connections must outlive it.
    return RedisCacheClient(list(servers), **dict(options))


def _steady(name: str) -> Callable[..., Any]:
    through_redis = getattr(RedisCache, name)
    in_memory = getattr(LocMemCache, name)

    def method(self: "SteadyRedisCache", *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= SteadyRedisCache.resting_until:
            try:
                return through_redis(self, *args, **kwargs)
            except (RedisError, OSError) as error:
                SteadyRedisCache.resting_until = time.monotonic() + REST
                logger.error("redis unavailable", extra={"cause": error})
        return in_memory(self._memory, *args, **kwargs)

    return method


class MemoryCache(LocMemCache):
    """Django's, with room for so many counts that nobody pushes one out.

    What is full drops what is over, and then what was not asked for longest. Of
    Django's 300 entries a few hundred strangers, or one with many addresses, would
    have dropped the count of wrong passwords. Full, it takes 20 MB.
    """

    ENTRIES = 50_000

    if TYPE_CHECKING:  # of what it is made of the stubs say nothing
        _cache: dict[str, bytes]
        _expire_info: dict[str, float | None]

        def _delete(self, key: str) -> bool: ...

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__(name, {**params, "max_entries": self.ENTRIES})

    def _cull(self) -> None:
        now = time.time()
        over = [key for key, at in self._expire_info.items() if at and at <= now]
        for key in over:
            self._delete(key)
        # Else it would be looked through again at once.
        if len(self._cache) > self.ENTRIES * 2 // 3:
            super()._cull()  # type: ignore[misc]


class SteadyRedisCache(RedisCache):
    resting_until = 0.0
    _servers: list[str]
    _options: dict[str, Any]

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._memory = MemoryCache("while-redis-is-away", params)

    @property
    def _cache(self) -> RedisCacheClient:
        return _client(tuple(self._servers), tuple(sorted(self._options.items())))

    add = _steady("add")
    get = _steady("get")
    set = _steady("set")
    touch = _steady("touch")
    delete = _steady("delete")
    get_many = _steady("get_many")
    has_key = _steady("has_key")
    incr = _steady("incr")
    set_many = _steady("set_many")
    delete_many = _steady("delete_many")
    clear = _steady("clear")
