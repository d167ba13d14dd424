"""
The numbers of ``/metrics``, in the text format of Prometheus.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

PREFIX = "onelogin_connector"


class Sample(NamedTuple):
    """
    One number with its labels.
    """

    labels: Mapping[str, str]
    value: float
    ending: str = ""
    """What is added to the family's name, for the parts of a histogram."""


class Family(NamedTuple):
    """
    All samples of one name.
    """

    name: str
    kind: str
    """``counter``, ``gauge`` or ``histogram``."""
    help: str
    samples: Iterable[Sample]


def text(families: Iterable[Family]) -> str:
    """
    Write families in the exposition format, version 0.0.4.
    """
    lines: list[str] = []
    for family in families:
        name = f"{PREFIX}_{family.name}"
        lines.append(f"# HELP {name} {family.help}")
        lines.append(f"# TYPE {name} {family.kind}")
        lines.extend(
            f"{name}{sample.ending}{_labels(sample.labels)} {_number(sample.value)}"
            for sample in family.samples
        )
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"
