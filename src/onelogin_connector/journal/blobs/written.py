"""
What one transaction writes beside the head: blobs that count only once the head names them.
"""

from onelogin_connector.azure.blobs import Container
from onelogin_connector.journal.blobs.head import LEAVES
from onelogin_connector.journal.blobs.tree import Leaves


class Written:
    """
    Names and stores what one transaction writes.
    """

    def __init__(self, container: Container, leaves: Leaves, token: str) -> None:
        self._container, self._leaves, self._token = container, leaves, token
        self._count = 0

    def leaf(self, body: bytes) -> str:
        """
        Store a leaf; returns the name it has for ever.
        """
        self._count += 1
        name = f"{LEAVES}{self._token}-{self._count}"
        self._container.create(name, body)
        self._leaves.keep(name, body)
        return name

    def document(self, name: str, body: bytes) -> None:
        """
        Store a blob that has a name already.
        """
        self._container.create(name, body)
