"""
What is made at the first start: the first password and webhook tokens.

They are written to ``initial-secrets`` before their hashes go into the state: a crash between the two makes
new ones at the next start, and never leaves a door whose key nobody has.
"""

from secrets import token_urlsafe

from onelogin_connector.config import Settings
from onelogin_connector.service.folder import Folder
from onelogin_connector.service.tokens import WebhookTokens
from onelogin_connector.state import State

FILE_NAME = "initial-secrets"
ADMIN = "admin"
HEAD = "# Made by OneLogin Connector at a first start, and read by nothing: keep it, or move it to a safe place.\n"


def first_secrets(
    settings: Settings, folder: Folder, state: State, tokens: WebhookTokens
) -> list[tuple[str, str]]:
    """
    Make what is missing; returns name and value of each, to be shown once.
    """
    made: list[tuple[str, str]] = []
    text = ""
    password = settings.web.admin_password
    if password is None and not state.has_user(ADMIN):
        made.append((f"password of {ADMIN}", token_urlsafe(18)))
        text += f'\n[users.{ADMIN}]\npassword = "{made[-1][1]}"\n'
    fresh = {connector: tokens.make() for connector in settings.connectors if not tokens.hashes(connector)}
    for connector, token in fresh.items():
        made.append((f"webhook token of {connector}", token))
        text += f'\n[connectors.{connector}]\nwebhook_token = "{token}"\n'
    if made:
        path = folder.path / FILE_NAME
        folder.write_private(FILE_NAME, (path.read_text() if path.exists() else HEAD) + text)
    if password is not None and not state.verify_password(ADMIN, password.reveal()):
        state.set_password(ADMIN, password.reveal())
    elif password is None and not state.has_user(ADMIN):
        state.set_password(ADMIN, made[0][1])
    for connector, token in fresh.items():
        tokens.keep(connector, token)
    return made
