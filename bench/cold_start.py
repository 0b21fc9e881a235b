"""What a cold start costs beside a bare azure.functions + durable_functions app: `python -m bench.cold_start`.

Fresh processes of both apps in turn, in one run on one machine; every stage is told as a ratio of medians, because
absolute times of a shared machine mean little.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
GOAL_IMPORT_RATIO = 1.5

BARE_APP = """
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="hello", methods=["GET"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")
"""

# Runs in the fresh process; prints the seconds of each stage as JSON. `sys.argv[1]` is the app's folder.
CHILD = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
stages, last = {}, time.perf_counter()
def done(stage):
    global last
    now = time.perf_counter()
    stages[stage] = now - last
    last = now
import function_app
done("import")
function_app.app.get_functions()
done("index")
if sys.argv[2] == "watchkeeper":
    from shared.policy import load_policy
    done("policy models (pydantic, yaml)")
    from pathlib import Path
    policy = load_policy((Path(sys.argv[1]) / "infra/policies/demo.yaml").read_text(), "demo.yaml")
    from datetime import UTC, datetime
    from shared.decisions import scaling
    from shared.domain import Fresh, ScalingMemory, ScalingSnapshot
    now = datetime.now(UTC)
    f = lambda value: Fresh(value=value, at=now, source="bench")
    snapshot = ScalingSnapshot(target="t", taken_at=now, depth=f(500), arrivals_per_s=f(9), completions_per_s=f(2),
                               capacity=f(1), ready=f(1), quota_headroom=f(50), dead_letters=f(0))
    intents, _ = scaling.decide(snapshot, ScalingMemory(), policy.targets[0].scaling, now)
    assert intents[0].value, intents
    done("first decision")
    from shared.services import build
    from shared.settings import read_settings
    settings = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "WATCHKEEPER_POLICY_FILE": "p"}
    build(read_settings(settings), lambda: now)
    done("services (azure.identity and the app's own)")
    import azure.core.pipeline.transport._aiohttp, azure.mgmt.core, azure.data.tables.aio
    done("first request's clients (aiohttp, mgmt-core, tables)")
    import azure.monitor.querymetrics.aio
    done("metrics client")
print(json.dumps(stages))
"""


def measure(runs: int) -> Mapping[str, Sequence[Mapping[str, float]]]:
    """Seconds of each stage, for each run of each app; the apps take turns."""
    taken: dict[str, list[Mapping[str, float]]] = {"bare": [], "watchkeeper": []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "function_app.py").write_text(BARE_APP, encoding="utf-8")
        for run in range(runs + 1):
            for name, app_dir in (("bare", folder), ("watchkeeper", str(ROOT))):
                command = [sys.executable, "-c", CHILD, app_dir, name]
                done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=app_dir)
                if run > 0:  # the first pair writes byte code and warms the page cache
                    taken[name].append(json.loads(done.stdout.splitlines()[-1]))
    return taken


def report(taken: Mapping[str, Sequence[Mapping[str, float]]]) -> float:
    """Print the table; the ratio of the imports."""
    medians = {
        name: {stage: statistics.median(run[stage] for run in runs) for stage in runs[0]}
        for name, runs in taken.items()
    }
    bare, ours = medians["bare"], medians["watchkeeper"]
    whole = sum(bare.values())
    print(f"Fresh processes, {len(taken['bare'])} pairs in turn, medians.\n")
    print(f"{'stage':54} {'bare, s':>8} {'ours, s':>8}  ours in bare apps' imports + indexings")
    so_far = 0.0
    for stage, seconds in ours.items():
        so_far += seconds
        theirs = f"{bare[stage]:8.4f}" if stage in bare else f"{'-':>8}"
        print(f"{stage:54} {theirs} {seconds:8.4f}  {seconds / whole:5.2f}   (so far {so_far / whole:5.2f})")
    ratio = ours["import"] / bare["import"]
    print(f"\nimport: {ratio:.2f} times the bare app's (goal: at most {GOAL_IMPORT_RATIO});", end=" ")
    print(f"index: {ours['index'] / bare['index']:.1f} times (12 functions to 1).")
    print("All but import and index is paid once a process, by the first trigger that needs it.")
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="pairs of fresh processes (default: 7)")
    return 0 if report(measure(parser.parse_args().runs)) <= GOAL_IMPORT_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
