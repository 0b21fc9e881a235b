"""Route templates and the table of routes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.errors import HostStartError
from local.host.functions import LoadedFunction
from local.host.routes import RouteError, RouteTable, parse_template
from tests.local.host.rule import rule


def http(name: str, route: str | None = None, *methods: str) -> LoadedFunction:
    trigger = {"type": "httpTrigger", "name": "req", "methods": list(methods), "route": route}
    return LoadedFunction(name, "httpTrigger", trigger, [trigger])


@rule("http.constraints")
@pytest.mark.parametrize(
    ("template", "good", "bad"),
    [
        ("{x:int}", ["1", "-5", "2147483647"], ["a", "1.5", "2147483648"]),
        ("{x:long}", ["9223372036854775807"], ["9223372036854775808"]),
        ("{x:guid}", ["01234567-89ab-cdef-0123-456789abcdef", "0123456789abcdef0123456789abcdef"], ["0123", "x"]),
        ("{x:alpha}", ["aB"], ["a1"]),
        ("{x:bool}", ["true", "FALSE"], ["1"]),
        ("{x:double}", ["1", "-1.5", "1e3"], ["one"]),
        ("{x:min(3)}", ["3"], ["2", "x"]),
        ("{x:max(3)}", ["3", "-9"], ["4"]),
        ("{x:range(2,4)}", ["2", "4"], ["1", "5"]),
        ("{x:length(2)}", ["ab"], ["a", "abc"]),
        ("{x:length(2,3)}", ["ab", "abc"], ["a", "abcd"]),
        ("{x:minlength(2)}", ["ab"], ["a"]),
        ("{x:maxlength(2)}", ["ab"], ["abc"]),
        (r"{x:regex(^[a-c]{{2}}$)}", [], ["abc"]),
        (r"{x:regex(^\d+/\d+$)}", [], ["1"]),
        ("{x:int:min(10)}", ["10"], ["9"]),
        ("v{major}.{minor}", ["v1.2"], ["v1"]),
        ("{name}.txt", ["a.txt"], ["a.csv"]),
    ],
)
def test_constraints(template: str, good: list[str], bad: list[str]) -> None:
    parsed = parse_template(template)
    assert all(parsed.match(path) is not None for path in good)
    assert all(parsed.match(path) is None for path in bad)


@rule("metadata.bad_template_stops")
@pytest.mark.parametrize(
    "route", ["a/{b", "a/b}", "{x:colour}", "{x:range(a,b)}", "{*rest}/more", "{a}/{A}", "a//b", "{x:regex([)}", "{}"]
)
def test_templates_that_stop_the_host(route: str) -> None:
    with pytest.raises(RouteError):
        parse_template(route)
    with pytest.raises(HostStartError, match="stops every function"):
        RouteTable([http("f", route)], "api")


@given(st.text(st.sampled_from("ab{}/*?:()12"), max_size=12))
def test_any_text_is_a_template_or_a_route_error(text: str) -> None:
    try:
        template = parse_template(text)
    except RouteError:
        return
    assert isinstance(template.pattern, re.Pattern)


@rule("http.reserved_routes")
def test_reserved_prefixes_are_texts_not_segments() -> None:
    routes = [http("a", "admin/x"), http("b", "administrators"), http("c", "runtimes"), http("d", "my/admin")]
    table = RouteTable(routes, "api")
    assert [problem.function for problem in table.problems] == ["a", "b", "c"]
    assert table.find("api/my/admin", "GET") is not None


@rule("http.route_taken")
def test_the_same_route_needs_other_methods() -> None:
    table = RouteTable(
        [http("a", "x", "GET"), http("b", "X", "POST"), http("c", "x", "POST", "PUT"), http("d", "x")], "api"
    )
    assert [problem.function for problem in table.problems] == ["c", "d"]
    found = table.find("/api/x", "post")
    assert found is not None
    assert found[0].name == "b"


def test_the_prefix_may_be_empty_and_the_default_route_is_the_name() -> None:
    table = RouteTable([http("Work")], "")
    assert table.find("work", "GET") is not None
    assert table.find("api/work", "GET") is None
