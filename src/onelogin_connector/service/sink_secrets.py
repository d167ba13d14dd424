"""
The stored secrets of sinks that were made in the console: used where they were entered for, and nowhere else.

They are bound to every address, and to whatever else a kind declares with ``binds``, as it was entered with them. Where
one of these is changed, by whomever and for a test alone, the secrets have to be entered anew: nobody can have a
secret sent to a place of their own.
"""

from collections.abc import Mapping
from typing import Any

from onelogin_connector.config import Secret, SinkSettings
from onelogin_connector.reach import Reach
from onelogin_connector.service import sink_wanted as entered
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.service.wanted import FieldErrors
from onelogin_connector.state import State


def read(state: State, sink: str | None, wanted: WantedSink, reach: Reach) -> SinkSettings:
    """
    Return what was entered as settings, with the stored secrets of a sink where they may serve.

    Args:
        sink: Whose stored secrets; None for a new one.

    Raises:
        FieldErrors: Something cannot be used, or a stored secret belongs to something else.
        ConfigError: The kind cannot be used, or a stored secret cannot be decrypted.
    """
    bindings = {} if sink is None else state.sinks.secrets(sink)
    used: list[str] = []

    def stored(path: str) -> Secret | None:
        if sink is None or path not in bindings:
            return None
        used.append(path)
        return state.secret("sink", sink, path, bound_to=bindings[path])

    # read with them first: what they are bound to is compared in its normal form
    found = entered.read(wanted, stored, reach)
    now = entered.bound_to(found.settings)
    elsewhere = {
        f"settings.{path}": f"The stored secret was entered for {entered.bound_words(bindings[path])} and goes nowhere "
        "else. Enter the one for what stands here."
        for path in used
        if bindings[path] != now
    }
    if elsewhere:
        raise FieldErrors(elsewhere)
    return found


def entered_in(wanted: WantedSink, read: SinkSettings) -> dict[str, Secret]:
    """
    Return the secrets that were entered, and not stored before, by their paths.
    """
    return {
        path: secret
        for path, secret in entered.secrets_of(read.settings)
        if _at(wanted.settings, path) not in (None, "")
    }


def _at(table: Mapping[str, Any], path: str) -> Any:
    found: Any = table
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
