"""
What tests of others use: twins in memory of the seams, and the contracts that implementations keep.
"""

from onelogin_connector.testing.journal import MemoryJournal
from onelogin_connector.testing.progress import MemoryProgress
from onelogin_connector.testing.sinks import FakeSink, SinkContract, Step, entry

__all__ = ["FakeSink", "MemoryJournal", "MemoryProgress", "SinkContract", "Step", "entry"]
