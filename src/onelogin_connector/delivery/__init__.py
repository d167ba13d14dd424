"""
Bring journal entries to one sink, each until it is accepted, a dead letter, or skipped by name.
"""

from onelogin_connector.delivery.loop import Delivery
from onelogin_connector.delivery.options import Lag, Options
from onelogin_connector.delivery.replay import Replayed

__all__ = ["Delivery", "Lag", "Options", "Replayed"]
