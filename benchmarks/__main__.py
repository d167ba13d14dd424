"""
Run every ``bench_*.py`` of this folder and print one table.

    python -m benchmarks [--quick] [--json] [NAME…]

Each script has ``run(quick: bool) -> list[Row]``. Messages go to stderr, the table to stdout. A script that
fails is named and the others still run; the exit code is then 1.
"""

import argparse
import json
import platform
import sys
import traceback
from dataclasses import asdict
from importlib import import_module
from os import cpu_count, getloadavg
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from benchmarks.row import Row

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """
    Return the names of the scripts, without ``bench_``.
    """
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def table_of(rows: list[Row]) -> Table:
    """
    Lay the figures out for people.
    """
    table = Table(title=machine())
    for heading in ("what", "value", "from – to", "unit", "ratio", "to", "goal"):
        table.add_column(heading, justify="right" if heading in ("value", "from – to", "ratio") else "left")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        spread = (
            "" if row.least is None or row.most is None else f"{written(row.least)} – {written(row.most)}"
        )
        table.add_row(row.name, written(row.value), spread, row.unit, ratio, row.baseline, row.goal)
    return table


def machine() -> str:
    """
    Say where this was measured, and how busy others kept it.
    """
    load = getloadavg()[0]
    return f"{platform.machine()}, {cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"


def written(value: float) -> str:
    """
    Write a figure with three digits that matter.
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main(arguments: list[str]) -> int:
    """
    Run the named scripts, or all.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--quick", action="store_true", help="smaller sizes: to see that it works")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(names())
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    rows: list[Row] = []
    failed = False
    for name in options.names or names():
        start = perf_counter()
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        try:
            rows += import_module(f"benchmarks.bench_{name}").run(options.quick)
        except Exception:  # noqa: BLE001 - one broken benchmark must not hide the others
            failed = True
            traceback.print_exc()
        print(f"{perf_counter() - start:.1f} s", file=sys.stderr)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(table_of(rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
