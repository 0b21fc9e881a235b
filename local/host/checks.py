"""What can be checked of an app before Azure runs it: facts/hostrules.md, "Checks worth having", App 1 to 19.

Only what a machine can see: not that handlers tolerate repeats (15, 16), that principal headers are trusted only behind
Easy Auth (6), that no module state is shared (17), nor how large messages get (19).
"""

import ast
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.host.app_index import AppIndex, index_app
from local.host.errors import HostStartError
from local.host.functions import LoadedFunction
from local.host.host_json import HUB_NAME, key_warnings, load_host_json
from local.host.metadata import DURABLE_TRIGGERS, INPUTS, REQUIRES_GRPC, is_trigger, problems_of
from local.host.routes import RESERVED, methods_of, route_text
from local.host.settings import SETTING_NAME, UnresolvedSettingError, find_connection, is_true, references, resolve
from local.host.worker import IndexedFunction

SAMPLE = "local.settings.sample.json"
_DURABLE = (*DURABLE_TRIGGERS, *INPUTS)
_REQUIRED_SETTINGS = ("PYTHON_THREADPOOL_THREAD_COUNT", "FUNCTIONS_WORKER_RUNTIME")
_SUFFIXES = {
    "servicebus": ("fullyQualifiedNamespace",),
    "queue": ("queueServiceUri", "accountName"),
    "blob": ("blobServiceUri", "accountName"),
    "table": ("tableServiceUri", "accountName"),
    "eventgrid": ("topicEndpointUri",),
}


@dataclass(frozen=True)
class Finding:
    """One thing that would go wrong: the check's number, what it is about, and why."""

    check: int
    subject: str
    words: str

    def __str__(self) -> str:
        return f"check {self.check}, {self.subject}: {self.words}"


@dataclass(frozen=True)
class App:
    """What the checks look at."""

    index: AppIndex
    host_json: Mapping[str, Any]
    settings: Mapping[str, str]

    @property
    def functions(self) -> tuple[IndexedFunction, ...]:
        return self.index.functions

    def bindings(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for function in self.functions:
            for binding in function.bindings:
                yield function.name, binding

    def http(self) -> list[LoadedFunction]:
        """HTTP functions in name order."""
        found = []
        for function in sorted(self.functions, key=lambda one: one.name.lower()):
            trigger = next((one for one in function.bindings if one.get("type") == "httpTrigger"), None)
            if trigger is not None:
                found.append(LoadedFunction(function.name, "httpTrigger", trigger, function.bindings))
        return found

    def is_durable(self) -> bool:
        return any(binding.get("type") in _DURABLE for _, binding in self.bindings())


def check_app(app_dir: Path) -> list[Finding]:
    """Run every check on the app in `app_dir`: its functions, host.json and local.settings.sample.json."""
    settings = sample_settings(app_dir)
    try:
        index = index_app(app_dir, settings)
    except HostStartError as error:
        return [Finding(18, "function_app.py", str(error))]
    try:
        load_host_json(app_dir, settings)
    except HostStartError as error:
        return [Finding(7, "host.json", str(error))]
    host_json = json.loads((app_dir / "host.json").read_text(encoding="utf-8-sig"))
    return check(App(index, host_json, settings))


def check(app: App) -> list[Finding]:
    """Run every check."""
    return [finding for one in CHECKS for finding in one(app)]


def sample_settings(app_dir: Path) -> dict[str, str]:
    """`Values` of the sample settings; empty without the file."""
    path = app_dir / SAMPLE
    return dict(json.loads(path.read_text(encoding="utf-8")).get("Values", {})) if path.exists() else {}


def anonymous_functions(app: App) -> list[str]:
    """HTTP functions that need no key: to be compared with the ones that are meant to."""
    return [one.name for one in app.http() if str(one.trigger.get("authLevel", "")).lower() == "anonymous"]


def names_and_triggers(app: App) -> Iterator[Finding]:
    """1 and 2: names, arguments, directions, one trigger."""
    seen: set[str] = set()
    for function in app.functions:
        for words in problems_of(function):
            yield Finding(2 if "trigger" in words or "$return" in words else 1, function.name, words)
        if function.name.lower() in seen:
            yield Finding(1, function.name, "the name is not unique ignoring case")
        seen.add(function.name.lower())


def routes(app: App) -> Iterator[Finding]:
    """3: reserved prefixes, and overlapping patterns of which the less specific one wins by its function's name."""
    functions = app.http()
    for function in functions:
        if route_text(function).strip("/").lower().startswith(RESERVED):
            yield Finding(
                3, function.name, f"the route {route_text(function)!r} begins with a word that the host keeps"
            )
    for winner, loser in itertools.combinations(functions, 2):
        if _methods_overlap(winner, loser) and _hides(route_text(winner), route_text(loser)):
            words = f"the route {route_text(loser)!r} is hidden by {route_text(winner)!r} of '{winner.name}'"
            yield Finding(3, loser.name, f"{words}, which comes first by name")


def _methods_overlap(one: LoadedFunction, other: LoadedFunction) -> bool:
    mine, theirs = methods_of(one), methods_of(other)
    return mine is None or theirs is None or bool(mine & theirs)


def _hides(winner: str, loser: str) -> bool:
    """Whether every path of `loser` that `winner` can match goes to `winner`, though `loser` is as specific or more."""
    first, second = (text.strip("/").lower().split("/") for text in (winner, loser))
    if not first[-1].startswith("{*") and len(first) != len(second):
        return False
    for mine, theirs in zip(first, second, strict=False):
        if mine.startswith("{*"):
            return True
        if "{" not in mine and mine != theirs:
            return False
    return len(first) <= len(second)


def http_functions(app: App) -> Iterator[Finding]:
    """4 and 5: methods and auth level declared, and HttpResponse returned."""
    for function in app.http():
        if not function.trigger.get("methods"):
            yield Finding(4, function.name, "it declares no methods, so it answers all")
        if not function.trigger.get("authLevel"):
            yield Finding(4, function.name, "it declares no auth level")
        returned = app.index.returns.get(function.name)
        if returned != "HttpResponse":
            yield Finding(5, function.name, f"it is annotated to return {returned}: a str would be parsed as JSON")


def host_json_keys(app: App) -> Iterator[Finding]:
    """7: only known keys (version, bundle and timeout are checked by loading it)."""
    for words in key_warnings(app.host_json):
        if "not a known key" in words:
            yield Finding(7, "host.json", words)


def hub(app: App) -> Iterator[Finding]:
    """8: the hub's name and connection are explicit, and differ per slot."""
    if not app.is_durable():
        return
    section = app.host_json.get("extensions", {}).get("durableTask", {})
    name = str(section.get("hubName", ""))
    if not name:
        yield Finding(8, "host.json", "extensions.durableTask.hubName is not set: it follows the site's name")
    elif not references(name):
        yield Finding(8, "host.json", f"hubName {name!r} is the same in every slot: use a %SETTING%")
    elif references(name) <= set(app.settings) and not HUB_NAME.fullmatch(str(resolve(name, app.settings))):
        yield Finding(8, "host.json", f"hubName {name!r} is not valid: a letter, then letters and digits, 3 to 45")
    if not section.get("storageProvider", {}).get("connectionStringName"):
        yield Finding(8, "host.json", "durableTask.storageProvider.connectionStringName is not set: scaling reads it")


def connections(app: App) -> Iterator[Finding]:
    """9: connections have what they need in the sample settings, and every %X% exists."""
    for function, binding in app.bindings():
        kind = next((one for one in _SUFFIXES if str(binding.get("type", "")).lower().startswith(one)), None)
        if kind is not None and binding.get("connection"):
            yield from _connection(function, str(binding["connection"]), kind, app.settings)
    used = {name: function for function, binding in app.bindings() for name in references(dict(binding))}
    used |= dict.fromkeys(references(dict(app.host_json)), "host.json")
    for name, subject in sorted(used.items()):
        if name not in app.settings:
            yield Finding(9, subject, f"%{name}% is not in {SAMPLE}")


def _connection(function: str, connection: str, kind: str, settings: Mapping[str, str]) -> Iterator[Finding]:
    try:
        found = find_connection(connection, settings)
    except UnresolvedSettingError:
        yield Finding(9, function, f"the connection {connection!r} is not in {SAMPLE}")
        return
    if not isinstance(found, str) and not any(suffix in found for suffix in _SUFFIXES[kind]):
        needed = " or ".join(f"{connection}__{suffix}" for suffix in _SUFFIXES[kind])
        yield Finding(9, function, f"the connection {connection!r} has suffixes in {SAMPLE}, but not {needed}")


def setting_names(app: App) -> Iterator[Finding]:
    """10 and 11: names that Azure on Linux accepts, and two settings that must be there."""
    for name in app.settings:
        if not SETTING_NAME.fullmatch(name):
            yield Finding(10, name, "not a name that Azure on Linux accepts: letters, digits and '_'")
    for name in _REQUIRED_SETTINGS:
        if not app.settings.get(name):
            yield Finding(11, name, f"not set in {SAMPLE}")


def durable_protocol(app: App) -> Iterator[Finding]:
    """12: all durable bindings ask for gRPC."""
    for function, binding in app.bindings():
        if binding.get("type") in _DURABLE and not is_true(str(binding.get(REQUIRES_GRPC, ""))):
            yield Finding(12, function, f"its binding '{binding.get('name')}' has no {REQUIRES_GRPC}")


def retries_of_calls(app: App) -> Iterator[Finding]:
    """13: every call of an activity in the app's own code has a retry policy."""
    for path in app.index.files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if _lacks_retry(node):
                yield Finding(
                    13, f"{path.name}:{getattr(node, 'lineno', 0)}", "an activity is called without retry_policy"
                )


def _lacks_retry(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr == "call_activity" and not any(keyword.arg == "retry_policy" for keyword in node.keywords)


def retry_metadata(app: App) -> Iterator[Finding]:
    """14: only on timers."""
    for function in app.functions:
        kinds = [str(binding.get("type")) for binding in function.bindings if is_trigger(binding)]
        if function.retry is not None and kinds != ["timerTrigger"]:
            yield Finding(14, function.name, f"retry metadata does nothing dependable on {', '.join(kinds)}")


def startup_runs(app: App) -> Iterator[Finding]:
    """16: no timer runs at every start of every instance."""
    for function, binding in app.bindings():
        if is_true(str(binding.get("runOnStartup", ""))):
            yield Finding(16, function, "runOnStartup is true: it runs at every start of every instance")


CHECKS: Sequence[Callable[[App], Iterator[Finding]]] = (
    names_and_triggers,
    routes,
    http_functions,
    host_json_keys,
    hub,
    connections,
    setting_names,
    durable_protocol,
    retries_of_calls,
    retry_metadata,
    startup_runs,
)
