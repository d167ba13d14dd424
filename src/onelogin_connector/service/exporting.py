"""
The settings together with what was made in the console, for ``config export``.

The state is only read, and no secret of it is decrypted: an export names a variable in the place of each.
"""

from typing import Any

from msgspec import ValidationError, structs

from onelogin_connector.config import Connector, Secret, Settings
from onelogin_connector.service import wanted as entered
from onelogin_connector.service.connectors import DEFAULT
from onelogin_connector.service.sink_wanted import WantedSink, stored
from onelogin_connector.state.connectors import read_made
from onelogin_connector.state.sinks import read_made_sinks


def sinks_of_console(settings: Settings) -> dict[str, dict[str, Any]]:
    """
    Return the sinks made in the console as tables of the file; a secret in them has no value.

    Raises:
        ConfigError: The state cannot be read.
    """
    found: dict[str, dict[str, Any]] = {}
    for part in read_made_sinks(settings.data_dir):
        if part.id in settings.sinks:
            continue  # the file has the last word
        try:
            wanted = stored(part.id, part.settings)
        except ValidationError:
            continue
        table: dict[str, Any] = {"kind": wanted.kind}
        if not wanted.enabled:
            table["enabled"] = False
        if wanted.backlog_limit is not None:
            table["backlog_limit"] = wanted.backlog_limit
        if wanted.pause_after_refusals != WantedSink(kind="").pause_after_refusals:
            table["pause_after_refusals"] = wanted.pause_after_refusals
        table |= wanted.settings
        for path in part.secrets:
            *above, name = path.split(".")
            place = table
            for each in above:
                place = place.setdefault(each, {})
            place[name] = Secret("")
        found[part.id] = table
    return found


def with_console(settings: Settings) -> Settings:
    """
    Return settings that hold the connectors made in the console beside those of the file.

    Raises:
        ConfigError: The state cannot be read.
    """
    connectors = dict(settings.connectors)
    built_in = connectors.get(DEFAULT) == Connector(name=DEFAULT)
    made, removed = read_made(settings.data_dir)
    if built_in and DEFAULT in removed and made:
        del connectors[DEFAULT]
    for part in made:
        if part.id in connectors and not (part.id == DEFAULT and built_in):
            continue  # the file has the last word
        try:
            wanted = entered.stored(part.settings)
        except ValidationError:
            continue
        # without a value: it is written as the name of a variable
        connectors[part.id] = entered.connector(wanted, Secret("") if part.has_secret else None)
    return structs.replace(settings, connectors=connectors)
