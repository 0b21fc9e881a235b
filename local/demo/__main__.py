"""`python -m local.demo [--once] [--trace FILE]`: the real function_app.py, against Azurite and the local Azure."""

import argparse
import asyncio
import contextlib
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from local.azurite import Azurite, AzuriteError
from local.clock import RealClock
from local.demo.story import PEOPLE, Story
from local.demo.timeline import HEADER, Timeline
from local.demo.verdict import checks, story_checks
from local.host_process import HostFailed, HostProcess
from local.workload import Arrivals, ArrivalsError, Surge
from local.world import ROOT, Shape, World

POLICY = ROOT / "infra" / "policies" / "demo.yaml"
LEAST_INSTANCES = 1
SURGE = Surge(base_rate=1.0, surge_rate=8.0, starts_at_s=10.0, lasts_s=25.0, duration_s=50.0)
# A trace is played in about this long, thinned so that its rates stay what they were.
TRACE_PLAY_S = 120.0
CALM_AFTER_S = 180.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo ARGS=...", description=__doc__)
    parser.add_argument(
        "--once", action="store_true", help="end after the scenario; exit code 0 if it kept its promises"
    )
    parser.add_argument("--trace", type=Path, help="arrivals from the column t_s of a CSV file (.gz too)")
    parser.add_argument("--speed", type=float, help="how much faster than its times a trace is played")
    return parser.parse_args()


def _arrivals(arguments: argparse.Namespace) -> Arrivals:
    if arguments.trace is None:
        return Arrivals.of_surge(SURGE, random.Random(7))
    trace = Arrivals.from_csv(arguments.trace)
    speed = arguments.speed or max(1.0, trace.duration_s / TRACE_PLAY_S)
    return trace.scaled(speed_up=speed, scale=1 / speed)


@contextlib.asynccontextmanager
async def _running(folder: Path, policy: Path) -> AsyncIterator[tuple[World, HostProcess]]:
    """Azurite, the local Azure and the app, each told when it is up; all gone afterwards."""
    started = time.monotonic()

    def tell(what: str) -> None:
        print(f"  {time.monotonic() - started:5.1f} s  {what}", flush=True)

    print("Starting:")
    async with Azurite(folder / "azurite") as azurite:
        tell("Azurite plays Azure Storage")
        world = World(RealClock(), Shape())
        await world.start()
        tell("the local Azure answers under its real host names: Resource Manager, Azure ML, Monitor, Service Bus ...")
        port = _free_port()
        settings = world.app_settings(
            azurite.connection_string, policy, WATCHKEEPER_PUBLIC_URL=f"http://127.0.0.1:{port}"
        )
        host = HostProcess(ROOT, folder / "host", settings, port)
        try:
            await host.start()
            tell(f"function_app.py runs on the local host at {host.url}")
            print(f"           while it plays: curl -H 'x-functions-key: {host.key}' {host.url}/api/state", flush=True)
            yield world, host
        finally:
            await host.stop()
            await world.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _watch(
    world: World, host: HostProcess, arrivals: Arrivals, http: aiohttp.ClientSession, policy: Path | None
) -> tuple[Timeline, Story | None]:
    """Play the arrivals, with the story in `policy`'s file if there is one, until capacity has come back, or for too
    long.
    """
    player = world.play(arrivals)
    timeline = Timeline(world, player, http, host.url)
    story = Story(world, host, timeline, policy) if policy else None
    telling = asyncio.create_task(story.run()) if story else None
    print(f"\nPlaying {len(arrivals.times_s)} messages over {arrivals.duration_s:.0f} s.\n\n{HEADER}")
    until = arrivals.duration_s + CALM_AFTER_S
    while timeline.elapsed_s < until:
        await timeline.tick()
        over = timeline.elapsed_s > arrivals.duration_s and player.sent == len(arrivals.times_s)
        told = telling is None or telling.done()
        if over and told and world.depth() == 0 and world.instances() == (LEAST_INSTANCES, 0):
            break
    for _ in range(3):  # the last outcome is written a moment after the instances are there
        await timeline.tick()
    if telling is not None:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        if not telling.cancelled() and (error := telling.exception()) is not None:
            print(f"  The story did not go on: {error}")
    return timeline, story


async def _report(timeline: Timeline, story: Story | None) -> bool:
    print("\nWhat was promised:")
    kept = True
    told = [check async for check in story_checks(timeline, story)] if story else []
    for check in [*checks(timeline, LEAST_INSTANCES), *told]:
        kept = kept and check.kept
        print(f"  {'yes' if check.kept else 'NO ':3}  {check.promise}: {check.seen}")
    print("\nWhat the ledger recorded:")
    for entry in timeline.entries.values():
        print(f"  {entry['at'][11:19]} UTC  {entry['kind']:8} {entry['target']}: {entry['summary']}")
    return kept


async def _stay(world: World, host: HostProcess) -> None:
    """Keep running with a little traffic, and say how to look around."""
    world.play(
        Arrivals.of_surge(
            Surge(base_rate=1, surge_rate=0, starts_at_s=86_000, lasts_s=0, duration_s=86_000), random.Random(8)
        )
    )
    key = f"-H 'x-functions-key: {host.key}'"
    print(
        f"\nIt keeps running, with one message a second. Ctrl-C ends it. Try:\n  curl {key} {host.url}/api/targets/demo"
    )
    print(f"  curl {key} '{host.url}/api/ledger?limit=5'\n  curl {key} {host.url}/api/ready")
    body = '{"scope": "target:demo", "reason": "trying it", "by": "me", "for_s": 60}'
    print(f"  curl {key} -d '{body}' {host.url}/api/pause\nThe host's log: {host.log_file}", flush=True)
    await host.ended()


async def _run(arguments: argparse.Namespace) -> int:
    arrivals = _arrivals(arguments)
    folder = Path(tempfile.mkdtemp(prefix="watchkeeper-demo-"))
    policy = folder / "policy.yaml"
    sections = "" if arguments.trace else PEOPLE
    policy.write_text(POLICY.read_text(encoding="utf-8") + sections, encoding="utf-8")
    stop = asyncio.current_task()
    assert stop is not None
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.cancel)
    try:
        async with (
            _running(folder, policy) as (world, host),
            aiohttp.ClientSession(headers={"x-functions-key": host.key}) as http,
        ):
            kept = await _report(*await _watch(world, host, arrivals, http, None if arguments.trace else policy))
            if not arguments.once:
                await _stay(world, host)
            return 0 if kept else 1
    except asyncio.CancelledError:
        print("\nEnded on request.")
        return 130 if arguments.once else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    try:
        return asyncio.run(_run(_arguments()))
    except (ArrivalsError, AzuriteError, HostFailed, OSError) as error:
        print(f"The demo could not run: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
