"""
How log records look: text on a terminal, one JSON object per line otherwise.

A record is a sentence plus fields; ``extra={"action": ...}`` names what happened with a word that stays
the same when the sentence is reworded, so that alerts can rely on it.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from msgspec.json import encode

from onelogin_connector.cli.text import printable

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


class JsonFormatter(logging.Formatter):
    """
    One JSON object per record.
    """

    def format(self, record: logging.LogRecord) -> str:
        """
        Return the record as JSON; a field that has no JSON form is written as text.
        """
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return encode(line, enc_hook=str).decode()


class TextFormatter(logging.Formatter):
    """
    One line per record for a person; a traceback follows where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """
        Return time, level, sentence and fields, with control characters taken out.
        """
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items() if name != "action")
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        line = printable(f"{clock} {record.levelname:<7} {record.getMessage()}  {fields}".rstrip())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(*, level: str = "INFO", form: str = "auto", stream: TextIO | None = None) -> None:
    """
    Send every log record to a stream, stderr by default.

    Args:
        level: The least severe level shown.
        form: ``text``, ``json``, or ``auto`` for text on a terminal and JSON otherwise.
    """
    stream = stream or sys.stderr
    as_text = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # these libraries log each request and each refusal: nothing here logs per event, and what matters is said anyway
    for name in (
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "httpx2",
        "httpcore2",
        "azure",
        "msal",
        "urllib3",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
