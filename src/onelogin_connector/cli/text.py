"""
Text that came from outside, made harmless for a terminal.
"""

import unicodedata


def printable(text: str) -> str:
    """
    Take out control characters (escape sequences, carriage returns, bidirectional overrides).

    New lines and tabs become one space, so that a value stays on its line.
    """
    if text.isprintable():
        return text
    return "".join(" " if char in "\n\t" else char for char in text if char in "\n\t" or _harmless(char))


def _harmless(char: str) -> bool:
    # Cc: controls, Cf: invisible formatting such as right-to-left overrides, Cs: lone surrogates
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs"}
