"""
What is made at the first start: the first password and webhook tokens.

They are shown once: in the file ``initial-secrets``, and on a terminal. Whoever loses them makes new ones with
the commands ``password`` and ``token``.
"""

from onelogin_connector.config import Settings
from onelogin_connector.service.folder import Folder
from onelogin_connector.state import State

FILE_NAME = "initial-secrets"
ADMIN = "admin"
HEAD = "# Made by OneLogin Connector at a first start, and read by nothing: keep it, or move it to a safe place.\n"


def first_secrets(settings: Settings, folder: Folder, state: State) -> list[tuple[str, str]]:
    """
    Make what is missing; returns name and value of each, to be shown once.
    """
    made: list[tuple[str, str]] = []
    text = ""
    password = state.ensure_admin(settings.web.admin_password)
    if password:
        made.append((f"password of {ADMIN}", password))
        text += f'\n[users.{ADMIN}]\npassword = "{password}"\n'
    for name, connector in settings.connectors.items():
        token = None if connector.webhook_tokens else state.ensure_webhook_token(name)
        if token:
            made.append((f"webhook token of {name}", token))
            text += f'\n[connectors.{name}]\nwebhook_token = "{token}"\n'
    if made:
        path = folder.path / FILE_NAME
        folder.write_private(FILE_NAME, (path.read_text() if path.exists() else HEAD) + text)
    return made
