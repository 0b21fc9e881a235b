"""`python -m local.host APP_DIR --port N [--journal FILE] [--keys FILE]`: the local host in place of `func start`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from local.clock import RealClock
from local.host.errors import HostStartError
from local.host.host import Host
from local.host.keys import Keys


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("app_dir", type=Path, help="the folder with function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="on 127.0.0.1; 0 for any free one (default: 7071)")
    parser.add_argument("--journal", type=Path, help="file in which orchestrations survive a kill")
    parser.add_argument("--keys", type=Path, help="JSON file with access keys; generated when absent")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    keys = Keys.load(arguments.keys) if arguments.keys else None
    host = Host(arguments.app_dir, RealClock(), keys=keys, journal=arguments.journal, port=arguments.port)
    url = await host.start()
    print(f"ready {url} {len(host.functions)} functions", flush=True)
    await stop.wait()
    await host.stop()
    _leave(0)


def _leave(status: int) -> None:
    """End at once: an ordinary exit would cancel functions that still run, or wait for their threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    logging.basicConfig(
        level=os.environ.get("LOCAL_HOST_LOG", "WARNING"), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        asyncio.run(_run(_arguments()))
    except HostStartError as error:
        print(f"The host did not start. {error}", file=sys.stderr)
        _leave(1)


if __name__ == "__main__":
    main()
