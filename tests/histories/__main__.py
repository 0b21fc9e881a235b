"""Replays every golden history against the app's code, in a process of its own: `python -m tests.histories`.

The SDK lets an app be asked for its functions once a process, and whoever runs the whole app needs that once. Prints
{"orchestrators": [names], "differences": {file: [sentences]}} as JSON.
"""

import asyncio
import json
from typing import Any

from function_app import app
from tests.histories.turns import GOLDEN, Turn, WireFunction, differences, wire


def orchestrators() -> dict[str, WireFunction]:
    """Every orchestrator of ours by name; the SDK brings one of its own."""
    found = {}
    for function in app.get_functions():
        trigger: Any = function.get_trigger()
        name = str(function.get_function_name())
        if trigger.get_dict_repr()["type"] == "orchestrationTrigger" and not name.startswith("BuiltIn__"):
            found[name] = wire(function, trigger.get_dict_repr()["name"])
    return found


async def main() -> None:
    known = orchestrators()
    turns = {path.stem: Turn.read(path) for path in sorted(GOLDEN.glob("*.json"))}
    found = {name: await differences(turn, known[turn.orchestrator]) for name, turn in turns.items()}
    print(json.dumps({"orchestrators": sorted(known), "differences": found}))


if __name__ == "__main__":
    asyncio.run(main())
