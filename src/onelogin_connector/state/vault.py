"""
Encryption of the secrets in the state.

The key comes from the configuration, or from a key file beside the state. It protects copies of the state,
such as backups, which hold no key; whoever can read the running program's folder can read the key file too.
"""

import os
from base64 import urlsafe_b64encode
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from onelogin_connector.errors import ConfigError

KEY_FILE = "secret.key"
SHORTEST_KEY = 32
"""Characters; a key is random text, not a password, so it is not stretched."""


class Vault:
    """
    Encrypts with the first key and decrypts with any.
    """

    def __init__(self, keys: list[str]) -> None:
        """
        Take the keys, the newest first.

        Raises:
            ConfigError: A key is too short to protect anything.
        """
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise ConfigError(
                f"A key for the secrets in the state has fewer than {SHORTEST_KEY} characters.",
                action="Make one with: openssl rand -hex 32",
            )
        self._fernet = MultiFernet([Fernet(_derived(key)) for key in keys])

    @classmethod
    def open(cls, folder: Path, key: str | None) -> "Vault":
        """
        Use the configured key, else the key file of a folder, which is made on first use.

        Args:
            key: One key, or several separated by commas during a rotation, the newest first.

        Raises:
            ConfigError: The key is too short, or the key file cannot be read or made.
        """
        if key is not None:
            return cls([part.strip() for part in key.split(",") if part.strip()] or [""])
        path = folder / KEY_FILE
        try:
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                return cls(path.read_text("ascii").split() or [""])
            with os.fdopen(handle, "w") as file:
                file.write(made := Fernet.generate_key().decode())
                file.flush()
                os.fsync(file.fileno())
            return cls([made])
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"The key file {path} cannot be used: {error}.",
                action="Check its owner and mode, or restore it.",
            ) from error

    def encrypt(self, value: str) -> bytes:
        """
        Encrypt a secret.
        """
        return self._fernet.encrypt(value.encode())

    def decrypt(self, cipher: bytes) -> str:
        """
        Decrypt a secret.

        Raises:
            ConfigError: It was encrypted with a key that is not here.
        """
        try:
            return self._fernet.decrypt(cipher).decode()
        except InvalidToken as error:
            raise ConfigError(
                "A secret in the state cannot be decrypted: its key is another one.",
                action="Give the former key in ONELOGIN_CONNECTOR_SECRET_KEY too (new key, comma, old key), restore "
                f"the file {KEY_FILE}, or enter the secret again.",
            ) from error

    def renew(self, cipher: bytes) -> bytes:
        """
        Encrypt with the newest key what any key can decrypt.

        Raises:
            ConfigError: None can.
        """
        return self.encrypt(self.decrypt(cipher))


def _derived(key: str) -> bytes:
    derivation = HKDF(SHA256(), length=32, salt=None, info=b"onelogin-connector state secrets")
    return urlsafe_b64encode(derivation.derive(key.encode()))
