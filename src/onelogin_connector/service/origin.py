"""
Who defines a connector or a sink, and so where it is changed.
"""

from enum import StrEnum

from onelogin_connector.errors import ConfigError


class Origin(StrEnum):
    """
    Who defines a connector or a sink.
    """

    FILE = "file"
    """The settings file or the environment: read-only in the console."""
    CONSOLE = "console"
    BUILT_IN = "built-in"
    """Nobody yet: it is there when nothing else is."""
    DEMO = "demo"
    """The demo, which makes it anew at each start: read-only too."""

    @property
    def is_fixed(self) -> bool:
        """
        Tell whether the console shows it and leaves it alone.
        """
        return self in {Origin.FILE, Origin.DEMO}


def require_editable(origin: Origin, what: str) -> None:
    """
    Raise ``ConfigError`` unless the console may change something.

    Args:
        what: The thing, as a sentence begins with it.
    """
    if origin is Origin.DEMO:
        raise ConfigError(
            f"{what} belongs to the demo.", action="Make one of your own beside it, or start without --demo."
        )
    if origin is Origin.FILE:
        raise ConfigError(
            f"{what} stands in the settings file or the environment, or is there by itself.",
            action="Change it in the settings file, and start the program again.",
        )
