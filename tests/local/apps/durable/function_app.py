"""Orchestrations through the whole host: client binding, management API, kills, timeouts."""

import asyncio
import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="start/{name}/{instance}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    given = json.loads(req.get_body() or b"null")
    name, instance = req.route_params["name"], req.route_params["instance"]
    await client.schedule_new_orchestration(name, input=given, instance_id=instance)
    return client.create_check_status_response(req, instance)


@app.orchestration_trigger(context_name="context")
def greet(context: Any, names: list[str]) -> Generator[Any, Any, list[str]]:
    greetings = []
    for name in names:
        greetings.append((yield context.call_activity("say_hello", input=name)))
    return greetings


@app.orchestration_trigger(context_name="context")
def wait_for_word(context: Any, _input: Any) -> Generator[Any, Any, str]:
    word = yield context.wait_for_external_event("word")
    return f"heard {word}"


@app.orchestration_trigger(context_name="context")
def fails(context: Any, _input: Any) -> Generator[Any, Any]:
    yield context.call_activity("raises", input=None)


@app.orchestration_trigger(context_name="context")
def calls_nobody(context: Any, _input: Any) -> Generator[Any, Any]:
    yield context.call_activity("no_such_activity", input=None)


@app.orchestration_trigger(context_name="context")
def calls_disabled(context: Any, _input: Any) -> Generator[Any, Any]:
    yield context.call_activity("switched_off", input=None)


@app.orchestration_trigger(context_name="context")
def calls_slow(context: Any, _input: Any) -> Generator[Any, Any, str]:
    try:
        yield context.call_activity("too_slow", input=None)
    except Exception as error:
        return f"failed: {error}"
    return "not failed"


@app.orchestration_trigger(context_name="context")
def holds(context: Any, path: str) -> Generator[Any, Any, str]:
    first = yield context.call_activity("hold", input=path)
    second = yield context.call_activity("say_hello", input="again")
    return f"{first}, {second}"


@app.activity_trigger(input_name="name")
def say_hello(name: str) -> str:
    return f"hello {name}"


@app.activity_trigger(input_name="nothing")
def raises(nothing: None) -> None:
    raise ValueError("on purpose")


@app.activity_trigger(input_name="nothing")
def switched_off(nothing: None) -> None:
    return


@app.activity_trigger(input_name="nothing")
async def too_slow(nothing: None) -> None:
    await asyncio.sleep(60)


@app.activity_trigger(input_name="path")
def hold(path: str) -> str:
    """Runs until the file `path` exists, and says so in `path`.running."""
    Path(f"{path}.running").touch()
    for _ in range(250):
        if Path(path).exists():
            return "released"
        time.sleep(0.01)
    return "never released"
