"""
The settings together with what was made in the console, for ``config export``.

The state is only read, and no secret of it is decrypted: an export names a variable in the place of each.
"""

from msgspec import ValidationError, structs

from onelogin_connector.config import Connector, Secret, Settings
from onelogin_connector.service import wanted as entered
from onelogin_connector.service.connectors import DEFAULT
from onelogin_connector.state.connectors import read_made


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
