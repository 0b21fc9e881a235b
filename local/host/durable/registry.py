"""Finds the function that an orchestrator, activity or entity name means, as the extension does.

Names ignore case; a function that is disabled, or of another kind, does not exist.
"""

from collections.abc import Iterable

from local.host.functions import LoadedFunction

# The trigger's property that overrides the function's name. Entities have two spellings, as SDKs differ.
_NAME_KEYS = {
    "orchestrationtrigger": ("orchestration",),
    "activitytrigger": ("activity",),
    "entitytrigger": ("entityName", "entity_name"),
}
_WORDS = {"orchestrationtrigger": "orchestrator", "activitytrigger": "activity", "entitytrigger": "entity"}


class UnknownFunction(Exception):
    """No such function; the words are the extension's (DurableTaskExtension.GetInvalid…FunctionMessage)."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        word = _WORDS[kind.lower()]
        article = "a" if word[0] not in "aeo" else "an"
        names = "', '".join(sorted(known))
        super().__init__(
            f"The function '{name}' doesn't exist, is disabled, or is not {article} {word} function. Additional info: "
            + (f"The following are the known {word} functions: '{names}'." if names else "No such functions are known.")
        )
        self.type = f"{word.capitalize()}FunctionNotFound"


class FunctionRegistry:
    def __init__(self, functions: Iterable[LoadedFunction]) -> None:
        self._functions = {
            (function.kind.lower(), _durable_name(function).lower()): function
            for function in functions
            if function.kind.lower() in _NAME_KEYS and not function.disabled
        }

    def find(self, kind: str, name: str) -> LoadedFunction:
        """The function of trigger type `kind` that goes by `name`.

        Raises:
            UnknownFunction: there is none.
        """
        found = self._functions.get((kind.lower(), name.lower()))
        if found is None:
            known = [f.name for (known_kind, _), f in self._functions.items() if known_kind == kind.lower()]
            raise UnknownFunction(kind, name, known)
        return found


def _durable_name(function: LoadedFunction) -> str:
    keys = _NAME_KEYS[function.kind.lower()]
    return str(next((function.trigger[key] for key in keys if function.trigger.get(key)), function.name))
