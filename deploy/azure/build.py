"""
Write the templates: ``make templates``.

Each is assembled from ``deploy/azure/parts``. Columns come from ``docs/guides/sentinel``, which the program's own lists
make; the files that a machine gets come from ``deploy/systemd`` and ``deploy/azure/machine`` as they stand there.
"""

import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

from deploy.azure.parts import function_app, machine, sentinel

FOLDER = Path(__file__).parent
COLUMNS = FOLDER.parents[1] / "docs" / "guides" / "sentinel"


def templates() -> dict[str, str]:
    """
    Return every file that is generated: name below ``deploy/azure`` → text.
    """
    bodies = {
        table: json.loads((COLUMNS / f"table-{table}.json").read_text())
        for table in (*sentinel.EVENT_TABLES, sentinel.USERS_TABLE)
    }
    return {
        "function-app.json": written(function_app.build(bodies)),
        "virtual-machine.json": written(machine.build(bodies, cloud_init())),
    }


def cloud_init() -> str:
    """
    Return the instructions of a machine, with the script of its first boot in them.
    """
    folder = FOLDER / "machine"
    script = b64encode((folder / "first_boot.py").read_bytes()).decode()
    return (folder / "cloud-init.yaml").read_text().replace("FIRST_BOOT_IN_BASE64", script)


def written(template: dict[str, Any]) -> str:
    """
    Write JSON as people and the portal's editor like it.
    """
    return json.dumps(template, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """
    Write what has changed.
    """
    for name, text in templates().items():
        path = FOLDER / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stderr.write(f"{name} is written anew\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
