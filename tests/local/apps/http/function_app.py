"""HTTP functions, and some in error, over which the host's HTTP rules are tested."""

import asyncio
import json
import threading

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
ran: list[str] = []
release = threading.Event()


def reply(**values: object) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(values), mimetype="application/json")


@app.route(route="echo", methods=["GET", "POST"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return reply(
        method=req.method,
        url=req.url,
        headers=dict(req.headers),
        params=dict(req.params),
        body=req.get_body().decode("latin-1"),
    )


@app.route(methods=["GET"])
def default_route(req: func.HttpRequest) -> func.HttpResponse:
    return reply(function="default_route")


@app.route(route="jobs/{id:int}", methods=["GET"])
def jobs_by_number(req: func.HttpRequest) -> func.HttpResponse:
    return reply(function="jobs_by_number", **req.route_params)


@app.route(route="jobs/{name:alpha:minlength(3)}", methods=["GET"])
def jobs_by_word(req: func.HttpRequest) -> func.HttpResponse:
    return reply(function="jobs_by_word", **req.route_params)


@app.route(route="jobs/summary", methods=["GET"])
def jobs_z_summary(req: func.HttpRequest) -> func.HttpResponse:
    return reply(function="jobs_z_summary")


@app.route(route="files/{*path}", methods=["GET"])
def files(req: func.HttpRequest) -> func.HttpResponse:
    return reply(**req.route_params)


@app.route(route="maybe/{word?}", methods=["GET"])
def maybe(req: func.HttpRequest) -> func.HttpResponse:
    return reply(**req.route_params)


@app.route(route="any")
def any_method(req: func.HttpRequest) -> func.HttpResponse:
    return reply(method=req.method)


@app.route(route="text", methods=["POST"])
def text(req: func.HttpRequest) -> str:
    return req.get_body().decode()


@app.route(route="cookies", methods=["GET"])
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("x", status_code=201, headers={"x-own": "1"})
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=60")
    return response


@app.route(route="fails", methods=["GET"])
def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("a secret of the app")


@app.route(route="keyed", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    ran.append("keyed")
    return reply(function="keyed")


@app.route(route="owner", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def owner(req: func.HttpRequest) -> func.HttpResponse:
    return reply(function="owner")


@app.route(route="off", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def switched_off(req: func.HttpRequest) -> func.HttpResponse:
    ran.append("switched_off")
    return reply(function="switched_off")


@app.route(route="ran", methods=["GET"])
def what_ran(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(ran), mimetype="application/json")


@app.route(route="slow", methods=["GET"])
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.to_thread(release.wait, 20)
    ran.append("slow")
    return reply(function="slow")


@app.route(route="release", methods=["POST"])
def let_go(req: func.HttpRequest) -> func.HttpResponse:
    release.set()
    return reply()


@app.route(route="administrators", methods=["GET"])
def reserved(req: func.HttpRequest) -> func.HttpResponse:
    return reply()


@app.route(route="ECHO", methods=["POST", "PUT"])
def takes_a_route(req: func.HttpRequest) -> func.HttpResponse:
    return reply()


@app.function_name("host")
@app.route(route="named-host", methods=["GET"])
def named_host(req: func.HttpRequest) -> func.HttpResponse:
    return reply()


@app.function_name("ECHO")
@app.route(route="same-name", methods=["GET"])
def same_name(req: func.HttpRequest) -> func.HttpResponse:
    return reply()


@app.route(route="dunder", methods=["GET"], trigger_arg_name="a__b")
def dunder_argument(a__b: func.HttpRequest) -> func.HttpResponse:
    return reply()


@app.timer_trigger(arg_name="timer", schedule="%NO_SUCH_SETTING%")
def unresolved(timer: func.TimerRequest) -> None:
    ran.append("unresolved")


@app.timer_trigger(arg_name="timer", schedule="every now and then")
def bad_schedule(timer: func.TimerRequest) -> None:
    ran.append("bad_schedule")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def by_hand(timer: func.TimerRequest) -> None:
    ran.append(f"by_hand {timer.past_due}")
