"""HTTP as the real host serves it: one host with the `http` app for all."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.local.host.process import APPS, HostProcess
from tests.local.host.rule import rule


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    settings = {
        "AzureWebJobs_switched_off_Disabled": "True",
        "AzureWebJobs_keyed_Disabled": "yes",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "2000",
    }
    with HostProcess(APPS / "http", tmp_path_factory.mktemp("http"), settings) as process:
        yield process.wait_ready()


@rule("metadata.one_fails_alone", "life.import_error")
def test_functions_in_error_leave_the_others_running(host: HostProcess) -> None:
    assert " 18 functions" in host.ready_line
    assert host.get("/api/default_route").json() == {"function": "default_route"}
    for path in ("administrators", "named-host", "same-name", "dunder"):
        assert host.get(f"/api/{path}").status == 404


def test_headers_query_and_body_reach_the_function(host: HostProcess) -> None:
    answer = host.post("/api/echo?a=1&a=2", body=b"hello", headers={"X-Thing": "one"})
    seen = answer.json()
    assert (answer.status, seen["method"], seen["body"]) == (200, "POST", "hello")
    assert seen["params"] == {"a": "1,2"}
    assert seen["url"].endswith("/api/echo?a=1&a=2")
    assert answer.headers["Content-Type"] == "application/json"


@rule("http.headers_lower")
def test_header_names_are_lower_case_and_repeats_joined(host: HostProcess) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", host.port)) as connection:
        connection.putrequest("GET", "/api/echo")
        for name, value in (("X-Two-Times", "one"), ("x-two-TIMES", "two")):
            connection.putheader(name, value)
        connection.endheaders()
        headers = json.loads(connection.getresponse().read())["headers"]
    assert headers["x-two-times"] == "one,two"
    assert all(name == name.lower() for name in headers)


@rule("http.principal")
def test_the_principal_header_is_forwarded_whoever_sent_it(host: HostProcess) -> None:
    headers = host.get("/api/echo", headers={"X-MS-CLIENT-PRINCIPAL": "forged"}).json()["headers"]
    assert headers["x-ms-client-principal"] == "forged"


@rule("http.empty_query")
def test_query_parameters_without_a_value_are_missing(host: HostProcess) -> None:
    assert host.get("/api/echo?a=&b=2&c").json()["params"] == {"b": "2"}


@rule("http.chunked_empty")
def test_a_chunked_upload_arrives_empty(host: HostProcess) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", host.port)) as connection:
        connection.request("POST", "/api/echo", iter([b"some", b"thing"]), encode_chunked=True)
        assert json.loads(connection.getresponse().read())["body"] == ""


@rule("http.body_limit")
def test_a_body_over_the_limit_is_refused(host: HostProcess) -> None:
    assert host.post("/api/echo", body=b"x" * 1900).status == 200
    assert host.post("/api/echo", body=b"x" * 2100).status == 413


@rule("http.wrong_method_404")
@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "DELETE"])
def test_a_wrong_method_is_404(host: HostProcess, method: str) -> None:
    assert host.request(method, "/api/jobs/summary").status == 404


def test_a_function_without_methods_takes_all(host: HostProcess) -> None:
    for method in ("GET", "DELETE", "OPTIONS", "PATCH"):
        assert host.request(method, "/api/any").json() == {"method": method}


@rule("http.constraints")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("jobs/7", {"function": "jobs_by_number", "id": "7"}),
        ("JOBS/-7", {"function": "jobs_by_number", "id": "-7"}),
        ("jobs/abc", {"function": "jobs_by_word", "name": "abc"}),
        ("jobs/ab", None),
        ("jobs/99999999999", None),
        ("jobs/a1", None),
        ("files/a/b%20c", {"path": "a/b c"}),
        ("files", {}),
        ("maybe", {}),
        ("maybe/x", {"word": "x"}),
        ("maybe/x/y", None),
    ],
)
def test_routes_and_their_constraints(host: HostProcess, path: str, expected: dict[str, str] | None) -> None:
    answer = host.get(f"/api/{path}")
    assert answer.status == (404 if expected is None else 200)
    if expected is not None:
        assert answer.json() == expected


@rule("http.first_match", "metadata.name_order")
def test_the_first_function_by_name_wins_not_the_most_specific(host: HostProcess) -> None:
    assert host.get("/api/jobs/summary").json()["function"] == "jobs_by_word"


@rule("http.reserved_routes", "http.route_taken")
def test_reserved_and_taken_routes_are_errors_of_their_function(host: HostProcess) -> None:
    reserved = host.get("/admin/functions/reserved/status", key="the-master").json()["errors"]
    taken = host.get("/admin/functions/takes_a_route/status", key="the-master").json()["errors"]
    assert "begins with 'admin'" in reserved[0]
    assert "belongs to function 'echo'" in taken[0]
    assert host.request("PUT", "/api/echo").status == 404


@rule("http.str_is_json")
@pytest.mark.parametrize(
    ("text", "status", "kind", "body"),
    [
        ("just words", 200, "text/plain; charset=utf-8", b"just words"),
        ('{"a": [1]}', 200, "application/json; charset=utf-8", b'{"a":[1]}'),
        ('{"body": "hi", "statusCode": 202}', 202, "text/plain; charset=utf-8", b"hi"),
        ('{"Body": {"a": 1}, "status": "418"}', 418, "application/json; charset=utf-8", b'{"a":1}'),
        ('{"body": "x", "headers": {"Content-Type": "text/x"}}', 200, "text/x", b"x"),
    ],
)
def test_a_str_is_parsed_as_json(host: HostProcess, text: str, status: int, kind: str, body: bytes) -> None:
    answer = host.post("/api/text", body=text.encode())
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (status, kind, body)


def test_status_headers_and_cookies_of_a_response(host: HostProcess) -> None:
    answer = host.get("/api/cookies")
    assert (answer.status, answer.headers["x-own"], answer.body) == (201, "1", b"x")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("a=1; ")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))


@rule("http.exception_500")
def test_an_exception_is_500_with_an_empty_body(host: HostProcess) -> None:
    answer = host.get("/api/fails")
    assert (answer.status, answer.body) == (500, b"")
    assert "a secret of the app" in host.log


@rule("http.key_precedence")
def test_the_header_comes_before_the_query(host: HostProcess) -> None:
    assert host.get("/api/keyed").status == 401
    assert host.get("/api/keyed?code=the-host").status == 200
    assert host.get("/api/keyed", key="the-host").status == 200
    assert host.get("/api/keyed?code=the-host", key="wrong").status == 401


@rule("http.master_opens_all")
def test_only_the_master_key_opens_admin(host: HostProcess) -> None:
    assert [host.get("/api/owner", key=key).status for key in ("the-host", "of-eventgrid", "the-master")] == [
        401,
        401,
        200,
    ]
    assert host.get("/api/keyed", key="the-master").status == 200


@rule("http.function_keys")
def test_host_keys_and_own_keys_open_a_function(host: HostProcess) -> None:
    assert host.get("/api/keyed", key="of-keyed").status == 200
    assert host.get("/api/keyed", key="of-off").status == 401


@rule("http.system_keys")
def test_a_system_key_opens_only_its_webhook(host: HostProcess) -> None:
    webhook = "/runtime/webhooks/eventgrid?functionName=nobody"
    assert host.get("/api/keyed", key="of-eventgrid").status == 401
    assert [host.post(webhook, key=key).status for key in ("of-eventgrid", "the-master")] == [404, 404]
    assert [host.post(webhook, key=key).status for key in ("of-durable", "the-host", "of-keyed")] == [401, 401, 401]


@rule("http.401_before_disabled", "http.disabled_404", "metadata.disabled")
def test_a_disabled_function_is_404_but_not_for_the_master(host: HostProcess) -> None:
    assert host.get("/api/off").status == 401
    assert host.get("/api/off", key="the-host").status == 404
    assert host.get("/api/off", key="the-master").status == 200
    before = host.get("/api/ran").json().count("switched_off")
    assert host.post("/admin/functions/switched_off", json_body={"input": ""}, key="the-master").status == 202
    host.wait_until(lambda: host.get("/api/ran").json().count("switched_off") == before + 1)
    assert host.get("/api/keyed", key="the-host").status == 200, "'yes' disables nothing"


@rule("http.home_page")
def test_the_root_is_a_home_page(host: HostProcess) -> None:
    answer = host.get("/")
    assert answer.status == 200
    assert b"up and running" in answer.body


def outstanding(host: HostProcess) -> int:
    status = host.get("/admin/host/drain/status", key="the-master").json()
    return int(status["outstandingInvocations"])


@rule("host_json.outstanding", "http.disconnect", "host_json.unknown_keys")
def test_too_many_requests_are_429_and_a_client_that_leaves_is_not_told(host: HostProcess) -> None:
    """The limit of 3 stands in host.json in an odd case. Two callers wait; a third goes away before its answer."""
    waiting = [threading.Thread(target=host.get, args=("/api/slow",)) for _ in range(2)]
    for thread in waiting:
        thread.start()
    leaving = http.client.HTTPConnection("127.0.0.1", host.port)
    leaving.request("GET", "/api/slow")
    host.wait_until(lambda: outstanding(host) == 3)
    answer = host.get("/api/default_route")
    assert (answer.status, answer.headers["X-FUNCTION-SCALEOUT"]) == (429, "1")
    leaving.close()
    assert host.post("/admin/functions/let_go", json_body={"input": ""}, key="the-master").status == 202
    for thread in waiting:
        thread.join()
    host.wait_until(lambda: host.get("/api/ran").json().count("slow") == 3)


@rule("admin.ping")
def test_ping_is_open(host: HostProcess) -> None:
    assert host.get("/admin/host/ping").status == 200


@rule("admin.status")
def test_status_needs_the_master_key(host: HostProcess) -> None:
    assert host.get("/admin/host/status", key="the-host").status == 401
    status = host.get("/admin/host/status", key="the-master").json()
    assert (status["id"], status["state"]) == ("http", "Running")
    assert any("'unresolved' function is in error" in error for error in status["errors"])


@rule("admin.function_status", "metadata.unresolved_setting")
def test_the_status_of_a_function_shows_its_errors(host: HostProcess) -> None:
    errors = host.get("/admin/functions/unresolved/status", key="the-master").json()["errors"]
    assert "NO_SUCH_SETTING" in errors[0]
    assert host.get("/admin/functions/ECHO_/status", key="the-master").status == 404
    assert host.get("/admin/functions/files/status", key="the-master").json() == {}


@rule("admin.invoke")
def test_a_function_is_run_by_hand(host: HostProcess) -> None:
    url = "/admin/functions/BY_HAND"
    assert host.post(url, json_body={"input": ""}, key="the-host").status == 401
    assert host.post(url, key="the-master").status == 400
    assert host.post("/admin/functions/nobody", json_body={"input": ""}, key="the-master").status == 404
    assert host.post(url, json_body={"input": ""}, key="the-master").status == 202
    host.wait_until(lambda: "by_hand False" in host.get("/api/ran").json())
