"""
Counts in words: one record, two records.
"""


def counted(number: int, one: str, many: str = "") -> str:
    """
    Return a number with its noun: ``1 record``, ``2 records``.

    Args:
        one: The noun for one.
        many: The noun for several; ``one`` with an s by default.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
