"""A server of shards, and a way to import ``resume_run``, which lies beside, also in processes started anew."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.datamodules.shard_server import Server, serve

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def server(shard_dir: Path) -> Iterator[Server]:
    """Serves the folder of shards, with an index."""
    with serve(shard_dir) as state:
        yield state
