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
POLICY, DECISION = "policy models (pydantic, yaml)", "first decision"

BARE_APP = """
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="hello", methods=["GET"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")
"""

# Runs in a fresh process of its own: what Microsoft's worker does when it starts, import included.
WORKER_CHILD = """
import asyncio, json, os, sys, time
from pathlib import Path
sys.path.insert(0, os.getcwd())
from local.host.worker import Worker
os.chdir(sys.argv[1])
start = time.perf_counter()
functions = asyncio.run(Worker(Path(sys.argv[1])).load())
print(json.dumps({"import and index, by Microsoft's worker": time.perf_counter() - start}))
os._exit(0 if not sys.stdout.flush() and functions else 1)
"""

# Runs in a fresh process; prints the seconds of each stage as JSON. `sys.argv[1]` is the app's folder.
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
                stages = _stages(WORKER_CHILD, app_dir, name) | _stages(CHILD, app_dir, name)
                if run > 0:  # the first pair writes byte code and warms the page cache
                    taken[name].append(stages)
    return taken


def _stages(code: str, app_dir: str, name: str) -> dict[str, float]:
    command = [sys.executable, "-c", code, app_dir, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise RuntimeError(f"{name} did not start:\n{done.stderr}")
    stages: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return stages


def report(taken: Mapping[str, Sequence[Mapping[str, float]]]) -> float:
    """Print the table; the ratio of the imports."""
    medians = {
        name: {stage: statistics.median(run[stage] for run in runs) for stage in runs[0]}
        for name, runs in taken.items()
    }
    bare, ours = medians["bare"], medians["watchkeeper"]
    loaded = "import and index, by Microsoft's worker"
    print(f"Fresh processes, {len(taken['bare'])} pairs in turn, medians.\n")
    print(f"{'stage':54} {'bare, s':>8} {'ours, s':>8}  ours / bare")
    for stage in (loaded, "import"):
        print(f"{stage:54} {bare[stage]:8.3f} {ours[stage]:8.3f}  {ours[stage] / bare[stage]:5.2f}")
    print("\nThen, once a process, by the first trigger that needs it (1.00 = the bare app's import):")
    for stage in [stage for stage in ours if stage not in bare]:
        print(f"{stage:54} {'':8} {ours[stage]:8.3f}  {ours[stage] / bare['import']:5.2f}")
    to_decision = ours["import"] + ours[POLICY] + ours[DECISION]
    print(f"{'import to first decision':54} {'':8} {to_decision:8.3f}  {to_decision / bare['import']:5.2f}")
    ratio = ours["import"] / bare["import"]
    print(f"\nimport: {ratio:.2f} times the bare app's (goal: at most {GOAL_IMPORT_RATIO}).")
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="pairs of fresh processes (default: 7)")
    return 0 if report(measure(parser.parse_args().runs)) <= GOAL_IMPORT_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
