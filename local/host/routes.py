"""HTTP routes of functions: ASP.NET templates with constraints, in function-name order (facts/hostrules.md §3)."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from local.host.errors import FunctionProblem, HostStartError
from local.host.functions import LoadedFunction

RESERVED = ("admin", "runtime")
_PARAMETER = re.compile(
    r"(?P<star>\*{0,2})(?P<name>\w+)(?P<constraints>(?::\w+(?:\((?:[^()]|\([^()]*\))*\))?)*)(?P<optional>\?)?"
)
_CONSTRAINT = re.compile(r":(\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?")
_INT64 = 2**63

Check = Callable[[str], bool]


class RouteError(ValueError):
    """A template that ASP.NET could not parse: it stops the whole host."""


def _whole(text: str, bits: int) -> bool:
    return re.fullmatch(r"[+-]?\d+", text) is not None and -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1)


def _number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


_GUID = re.compile(r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?")

_PLAIN: Mapping[str, Check] = {
    "int": lambda text: _whole(text, 32),
    "long": lambda text: _whole(text, 64),
    "guid": lambda text: _GUID.fullmatch(text) is not None,
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "bool": lambda text: text.lower() in ("true", "false"),
    "decimal": _number,
    "double": _number,
    "float": _number,
    "required": lambda text: text != "",
}


def _limits(arguments: str) -> tuple[int, int]:
    low, _, high = arguments.partition(",")
    return int(low), int(high or low)


def _between(low: int, high: int) -> Check:
    return lambda text: _whole(text, 64) and low <= int(text) <= high


def _sized(low: int, high: int) -> Check:
    return lambda text: low <= len(text) <= high


def _pattern(arguments: str) -> Check:
    compiled = re.compile(arguments, re.IGNORECASE)
    return lambda text: compiled.search(text) is not None


_WITH_ARGUMENTS: Mapping[str, Callable[[str], Check]] = {
    "min": lambda arguments: _between(int(arguments), _INT64),
    "max": lambda arguments: _between(-_INT64, int(arguments)),
    "range": lambda arguments: _between(*_limits(arguments)),
    "length": lambda arguments: _sized(*_limits(arguments)),
    "minlength": lambda arguments: _sized(int(arguments), _INT64),
    "maxlength": lambda arguments: _sized(0, int(arguments)),
    "regex": _pattern,
}


@dataclass(frozen=True)
class Parameter:
    """One `{name:constraints}` of a route."""

    name: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Template:
    """A parsed route: a pattern over the whole path, with one group for each parameter."""

    text: str
    pattern: re.Pattern[str]
    parameters: tuple[Parameter, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The values of the parameters in `path` (no slash at either end), or None."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        given = [(parameter, value) for parameter, value in zip(self.parameters, found.groups(), strict=True) if value]
        if not all(check(value) for parameter, value in given for check in parameter.checks):
            return None
        return {parameter.name: value for parameter, value in given}


def parse_template(text: str) -> Template:
    """Parse `jobs/{id:int}/{*rest}`; literals and constraints as ASP.NET's, which ignores case.

    Raises:
        RouteError: bad braces, an unknown constraint, or a catch-all that is not last.
    """
    parameters: list[Parameter] = []
    segments = _split(text)
    pattern = ""
    for index, segment in enumerate(segments):
        part, optional = _segment(segment, text, last=index == len(segments) - 1, parameters=parameters)
        slash = "/" if index else ""
        pattern += f"(?:{slash}{part})?" if optional else slash + part
    return Template(text, re.compile(pattern, re.IGNORECASE | re.DOTALL), tuple(parameters))


def _split(text: str) -> list[str]:
    """Split at slashes outside braces: a regex constraint may hold one."""
    segments, depth = [""], 0
    for character in text.strip("/"):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and depth == 0:
            segments.append("")
        else:
            segments[-1] += character
    if depth or (len(segments) > 1 and "" in segments):
        raise RouteError(f"the route {text!r} has unmatched braces or an empty segment")
    return [segment for segment in segments if segment]


def _segment(segment: str, route: str, *, last: bool, parameters: list[Parameter]) -> tuple[str, bool]:
    pattern, position, optional = "", 0, False
    while position < len(segment):
        if segment[position] != "{":
            literal = re.match(r"[^{}]+", segment[position:])
            if literal is None:
                raise RouteError(f"the route {route!r} has a '}}' without '{{'")
            pattern += re.escape(literal.group())
            position += literal.end()
            continue
        end = _closing(segment, position, route)
        part, optional = _parameter(segment[position + 1 : end], route, last=last, parameters=parameters)
        pattern += part
        position = end + 1
    return pattern, optional and segment.startswith("{")


def _closing(segment: str, start: int, route: str) -> int:
    depth = 0
    for position in range(start, len(segment)):
        depth += {"{": 1, "}": -1}.get(segment[position], 0)
        if depth == 0:
            return position
    raise RouteError(f"the route {route!r} has a '{{' without '}}'")


def _parameter(text: str, route: str, *, last: bool, parameters: list[Parameter]) -> tuple[str, bool]:
    match = _PARAMETER.fullmatch(text)
    if match is None:
        raise RouteError(f"the route {route!r} has a parameter {{{text}}} that cannot be parsed")
    name = match["name"]
    if any(name.lower() == other.name.lower() for other in parameters):
        raise RouteError(f"the route {route!r} has the parameter {name!r} twice")
    constraints = _CONSTRAINT.findall(match["constraints"])
    parameters.append(Parameter(name, tuple(_check(kind, arguments, route) for kind, arguments in constraints)))
    if match["star"] and not last:
        raise RouteError(f"the route {route!r} has a catch-all that is not last")
    return "(.*)" if match["star"] else "([^/]+)", bool(match["star"] or match["optional"])


def _check(kind: str, arguments: str, route: str) -> Check:
    try:
        if kind.lower() in _PLAIN:
            return _PLAIN[kind.lower()]
        return _WITH_ARGUMENTS[kind.lower()](arguments)
    except KeyError:
        raise RouteError(f"the route {route!r} has an unknown constraint {kind!r}") from None
    except (ValueError, re.error) as error:
        raise RouteError(f"the route {route!r}: {kind}({arguments}) cannot be parsed: {error}") from error


@dataclass(frozen=True)
class Route:
    """Where one function is reached; `methods` None: any."""

    function: LoadedFunction
    template: Template
    methods: frozenset[str] | None

    def overlaps(self, other: "Route") -> bool:
        """Same text, and a method in common."""
        same = self.template.text.lower() == other.template.text.lower()
        return same and (self.methods is None or other.methods is None or bool(self.methods & other.methods))


def route_text(function: LoadedFunction) -> str:
    """The route as declared; the function's name by default."""
    route = function.trigger.get("route")
    return function.name if route is None else str(route)


def methods_of(function: LoadedFunction) -> frozenset[str] | None:
    methods = function.trigger.get("methods")
    return frozenset(str(method).upper() for method in methods) if methods else None


class RouteTable:
    """All routes, in function-name order: the first that matches path and method wins."""

    def __init__(self, functions: Iterable[LoadedFunction], prefix: str) -> None:
        """Build the table; functions with a bad route go to `problems` instead.

        Raises:
            HostStartError: a template that cannot be parsed stops everything, as in Azure.
        """
        self.routes: list[Route] = []
        self.problems: list[FunctionProblem] = []
        for function in sorted(functions, key=lambda one: one.name.lower()):
            if function.kind == "httpTrigger":
                self._add(function, prefix)

    def _add(self, function: LoadedFunction, prefix: str) -> None:
        text = route_text(function).strip("/")
        reserved = next((word for word in RESERVED if text.lower().startswith(word)), None)
        if reserved:
            self.problems.append(
                FunctionProblem(
                    function.name, f"its route {text!r} begins with {reserved!r}, which the host keeps for itself"
                )
            )
            return
        try:
            template = parse_template("/".join(part for part in (prefix, text) if part))
        except RouteError as error:
            raise HostStartError(f"Function '{function.name}': {error}. In Azure this stops every function.") from error
        route = Route(function, template, methods_of(function))
        taken = next((other for other in self.routes if other.overlaps(route)), None)
        if taken is not None:
            words = f"its route {text!r} with the same methods belongs to function '{taken.function.name}'"
            self.problems.append(FunctionProblem(function.name, words))
            return
        self.routes.append(route)

    def find(self, path: str, method: str) -> tuple[LoadedFunction, dict[str, str]] | None:
        """The function for a decoded path, with its route parameters; None is a 404, also for a wrong method."""
        for route in self.routes:
            values = route.template.match(path.strip("/"))
            if values is not None and (route.methods is None or method.upper() in route.methods):
                return route.function, values
        return None
