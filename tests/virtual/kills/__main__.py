"""Kills the app at hundreds of points in virtual time: `python -m tests.virtual.kills --kills 300 --seed 1`.

Writes one line a kill to the log while it goes, then the table; exit code 1 if anything did not hold. One kill again:
`--kill SCENARIO/before|after/NTH/REQUEST`, as the log names it.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest

from local.azurite import Azurite
from tests.virtual.arena import VirtualApp, arena
from tests.virtual.kills.mortality import KillPoint
from tests.virtual.kills.plan import plan
from tests.virtual.kills.report import line_of, missed, table_of
from tests.virtual.kills.run import Killer, Ran
from tests.virtual.kills.scenarios import BY_NAME

LOG = Path("kills.log")


async def main(asked: argparse.Namespace) -> int:
    """The exit code."""
    app = VirtualApp()
    with Azurite() as azurite, tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        await app.start()
        try:
            open_arena = partial(arena, app, azurite.connection_string, Path(folder), patch)
            killer = Killer(open_arena, azurite.connection_string)
            points = [KillPoint.parse(text) for text in asked.kill] or await _planned(killer, asked)
            points = points[asked.part[0] - 1 :: asked.part[1]]
            ran = await _kill(killer, points, asked.log)
        finally:
            await app.host.stop()
    print(table_of(ran))
    if not asked.kill and asked.part[1] == 1 and (rare := missed(ran)):
        print(f"not hit twice: {', '.join(rare)}")
    failed = [one for one in ran if one.problems]
    for one in failed:
        print(f"again: python -m tests.virtual.kills --kill '{one.point}'")
    print(f"{len(ran)} kills, seed {asked.seed}, {len(failed)} did not hold; each is in {asked.log}")
    return 1 if failed else 0


async def _planned(killer: Killer, asked: argparse.Namespace) -> list[KillPoint]:
    names = asked.scenario or list(BY_NAME)
    return plan({name: (await killer.unhurt(name)).requests for name in names}, asked.kills, asked.seed)


async def _kill(killer: Killer, points: list[KillPoint], log: Path) -> list[Ran]:
    ran, started = [], time.monotonic()
    with log.open("w", encoding="utf-8") as lines:
        for number, point in enumerate(points, start=1):
            one = await killer.kill(point)
            ran.append(one)
            lines.write(line_of(one) + "\n")
            lines.flush()
            if one.problems or number % 25 == 0:
                print(f"{number}/{len(points)} after {time.monotonic() - started:.0f} s: {line_of(one)}", flush=True)
    return ran


def _part(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 1/3, the first of three parts")
    return int(number), int(of)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.virtual.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="at least so many (every request is hit in any case)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", action="append", choices=sorted(BY_NAME), help="only this one; may be repeated")
    parser.add_argument("--kill", action="append", default=[], help="only this point; may be repeated")
    parser.add_argument("--part", type=_part, default=(1, 1), help="1/3: of the same plan, what one of three does")
    parser.add_argument("--log", type=Path, default=LOG)
    return parser.parse_args()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.exit(asyncio.run(main(_asked())))
