"""
The settings of the program: the only reader of the settings file and of the environment.

A value comes from the first of: a flag, an environment variable, the file, the default. Secrets are
references, ``{ env = "…" }`` or ``{ file = "…" }``; their values are ``Secret`` and never show.
"""

from onelogin_connector.config.loading import PREFIX, load, variables
from onelogin_connector.config.people import AlarmOptions, Oidc
from onelogin_connector.config.settings import (
    Connector,
    Domain,
    JournalOptions,
    Legacy,
    Log,
    Settings,
    SinkSettings,
    Tls,
    Web,
)
from onelogin_connector.config.writing import export, reference, reference_of, starter
from onelogin_connector.setting import HttpUrl, Network, Secret

__all__ = [
    "PREFIX",
    "AlarmOptions",
    "Connector",
    "Domain",
    "HttpUrl",
    "JournalOptions",
    "Legacy",
    "Log",
    "Network",
    "Oidc",
    "Secret",
    "Settings",
    "SinkSettings",
    "Tls",
    "Web",
    "export",
    "load",
    "reference",
    "reference_of",
    "starter",
    "variables",
]
