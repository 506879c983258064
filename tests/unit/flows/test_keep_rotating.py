"""The flow server keeps the logs of the stack small."""

import asyncio
from pathlib import Path

import anyio

from flows.__main__ import keep_rotating
from mikrobot.stack.log_rotation import LARGEST_BYTES


def test_a_large_log_is_rotated_while_flows_are_served(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "mlflow.log"
    path.parent.mkdir()
    path.write_bytes(b"line\n" * (LARGEST_BYTES // 4))

    async def serve_until_rotated() -> None:
        rotating = asyncio.create_task(keep_rotating(path.parent))
        async with asyncio.timeout(60):
            while path.stat().st_size:
                await anyio.sleep(0.01)
        rotating.cancel()

    asyncio.run(serve_until_rotated())
    assert path.with_name("mlflow.log.1").exists()
