"""Two replicas on one database."""

from collections.abc import AsyncIterator

import pytest

from monitor.store.engine import Store


@pytest.fixture
async def pair(store: Store, store_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores on one database, as two processes have them."""
    other = Store(store_url)
    yield store, other
    await other.close()
