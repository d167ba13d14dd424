"""
Build the package of the function app: ``dist/onelogin-connector-function.zip``.

It holds the app, this project's own modules, and every library in the version and with the hash that
``requirements/function.txt`` locks, as wheels for Linux on x86-64 and Python 3.11. Two builds of one checkout are equal, byte
for byte: names are sorted, times are fixed, and what an installer writes about itself is left out.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
LOCK = ROOT / "requirements" / "function.txt"
TARGET = ROOT / "dist" / "onelogin-connector-function.zip"
LIBRARIES = Path(".python_packages", "lib", "site-packages")
"""Where Azure's worker looks for what comes with a package."""

OWN = ("function_app.py", "host.json")
PARTS_LEFT_OUT = frozenset(
    {"cli", "detections", "kql", "service", "simulator", "state", "store", "testing", "web"}
)
"""Parts of the program that the function app does not use; they need libraries that are not here."""

FILES_LEFT_OUT = frozenset({"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"})
FOLDERS_LEFT_OUT = frozenset({"__pycache__", "bin", "tests"})

PYTHON = "3.11"
PLATFORMS = (
    "manylinux_2_28",
    "manylinux_2_27",
    "manylinux_2_24",
    "manylinux_2_17",
    "manylinux2014",
    "manylinux_2_5",
)
"""Newest first; the oldest system that Azure runs Python 3.11 on has glibc 2.31."""


def installer() -> list[str]:
    """
    Return the command that installs wheels for another machine: this environment's pip, or uv.
    """
    if not subprocess.run(
        [sys.executable, "-m", "pip", "--version"], capture_output=True, check=False
    ).returncode:
        platforms = [f"--platform={name}_x86_64" for name in PLATFORMS]
        abis = [f"--abi={name}" for name in ("cp311", "abi3", "none")]
        return [
            *(
                sys.executable,
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-deps",
                "--no-compile",
            ),
            *("--implementation=cp", f"--python-version={PYTHON}", *platforms, *abis),
        ]
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        sys.exit("make function-zip needs pip in .venv, or uv: https://docs.astral.sh/uv")
    return [
        uv,
        "pip",
        "install",
        "--no-deps",
        f"--python-version={PYTHON}",
        "--python-platform=x86_64-manylinux_2_28",
    ]


def install(folder: Path) -> None:
    """
    Fill a folder with the locked libraries.
    """
    options = [
        "--quiet",
        "--only-binary=:all:",
        "--require-hashes",
        f"--target={folder}",
        f"--requirement={LOCK}",
    ]
    subprocess.run([*installer(), *options], check=True)


def libraries(folder: Path) -> Iterator[tuple[Path, Path]]:
    """
    Give the files of the libraries: path in the package, path here.
    """
    for path in folder.rglob("*"):
        within = path.relative_to(folder)
        left_out = FOLDERS_LEFT_OUT.intersection(within.parts[:-1]) or path.name in FILES_LEFT_OUT
        if path.is_file() and not left_out and path.suffix != ".pyc":
            yield LIBRARIES / within, path


def modules() -> Iterator[tuple[Path, Path]]:
    """
    Give our own files, as ``libraries`` does.
    """
    source = ROOT / "src"
    for path in (source / "onelogin_connector").rglob("*"):
        within = path.relative_to(source)
        if path.is_file() and "__pycache__" not in within.parts and within.parts[1] not in PARTS_LEFT_OUT:
            yield LIBRARIES / within, path


def write(target: Path, files: dict[str, Path]) -> None:
    """
    Write a zip file that depends on nothing but names and contents.
    """
    target.parent.mkdir(exist_ok=True)
    unfinished = target.with_suffix(".part")
    with ZipFile(unfinished, "w") as archive:
        for name, path in sorted(files.items()):
            entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes(), ZIP_DEFLATED, 9)
    unfinished.replace(target)


def main(target: Path = TARGET) -> None:
    """
    Build the package.
    """
    with TemporaryDirectory() as folder:
        install(Path(folder))
        files = {name: HERE / name for name in OWN}
        files |= {within.as_posix(): path for within, path in [*libraries(Path(folder)), *modules()]}
        write(target, files)
    content = target.read_bytes()
    size = len(content) / 2**20
    sys.stdout.write(f"{target.relative_to(ROOT)}: {size:.1f} MiB, sha256 {sha256(content).hexdigest()}\n")


if __name__ == "__main__":
    main()
