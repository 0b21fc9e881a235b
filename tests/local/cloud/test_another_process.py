"""A client in a process of its own needs the standard settings and nothing else."""

import asyncio
import os
import sys
from pathlib import Path

from local.cloud import Cloud
from tests.local.cloud.conftest import BLUE

CLIENT = """
import asyncio, sys
from tests.local.cloud.clients import ArmClient

async def main():
    async with ArmClient() as arm:
        print((await arm.get(sys.argv[1]))["sku"]["capacity"])

asyncio.run(main())
"""


async def test_the_environment_is_all_that_another_process_needs(cloud: Cloud) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CLIENT,
        BLUE,
        env=os.environ | cloud.environment(),
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
    )
    answered, _ = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, answered) == (0, b"2\n")
    assert [record.status for record in cloud.requests if record.host == "management.azure.com"] == [200]
