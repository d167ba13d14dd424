"""
A Dockerfile, read, and carried out step by step in a folder where there is no container engine.

What is real: the files that are copied (and no others, as ``.dockerignore`` says), the virtual environments, the wheel
that is built and installed, modes and owners, the environment, the command, the health check, and, where this runs as
root with a Python that others may use, the unprivileged user.

What is replaced: the base image, by this machine; absolute paths, by paths below the folder; the download of locked
requirements, by links to the packages of the environment that the tests run in – each in the version that the lock
names, and none that it does not name; ``groupadd`` and ``useradd``, by nothing, since the user is only a number.
"""

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
PINNED = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]+?))?\s*\\?$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Step:
    """
    One instruction.
    """

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """
        Return what follows, in the exec form or split as a shell without variables would.
        """
        text = self.rest
        return json.loads(text) if text.startswith("[") else shlex.split(text)


def read(text: str) -> list[Step]:
    """
    Return the instructions, comments and line breaks taken out.
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Step(*line.strip().split(None, 1)) for line in joined.splitlines() if line.strip()]


def ignored(path: str, rules: list[str]) -> bool:
    """
    Tell whether ``.dockerignore`` keeps a file from the builder; the last rule that fits decides.
    """
    parts = path.split("/")
    found = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        tails = (
            [path, *("/".join(parts[i:]) for i in range(1, len(parts)))]
            if pattern.startswith("**/")
            else [path]
        )
        heads = ["/".join(each.split("/")[:n]) for each in tails for n in range(1, each.count("/") + 2)]
        if any(fnmatch(head, pattern.removeprefix("**/")) for head in heads):
            found = not rule.startswith("!")
    return found


def context() -> list[str]:
    """
    Return the files of the checkout that the builder gets to see.
    """
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [
        path for path in tracked.stdout.splitlines() if not ignored(path, rules) and (ROOT / path).is_file()
    ]


def locked(path: Path) -> dict[str, str]:
    """
    Return the requirements of a lock that apply here: name → version.
    """
    return {
        found["name"]: found["version"]
        for found in PINNED.finditer(path.read_text())
        if not found["marker"] or Marker(found["marker"]).evaluate()
    }


@dataclass
class Image:
    """
    What the steps make, below a folder.
    """

    root: Path
    python: str
    """Interpreter in place of the base image's."""
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: int | None = None
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    health_options: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def carry_out(self, steps: list[Step]) -> None:
        """
        Carry out every step, in order.
        """
        later = sum(step.word == "FROM" for step in steps)
        for step in steps:
            if step.word == "FROM":
                later -= 1
            if step.word == "FROM" and later == 0:
                # the last stage begins anew, with nothing of the one before but what it copies
                wanted = [each.words[1] for each in steps if "--from=" in each.rest]
                self._forget_all_but(wanted)
            getattr(self, f"_{step.word.lower()}")(step)

    def inside(self, path: str) -> Path:
        """
        Return where a path of the image is here.
        """
        return self.root / str(Path(self.workdir) / path).lstrip("/")

    def surroundings(self) -> dict[str, str]:
        """
        Return the environment, with paths as they are here.
        """
        here = {name: self._here(value) for name, value in self.environment.items()}
        return {"PATH": os.defpath, "HOME": str(self.inside("/data"))} | here

    def _here(self, text: str) -> str:
        return re.sub(r"(?<![\w.=-])/(opt|build|data)\b", rf"{self.root}/\1", text)

    def _forget_all_but(self, wanted: list[str]) -> None:
        aside = {path: self.root / f"kept-{index}" for index, path in enumerate(wanted)}
        for path, kept in aside.items():
            self.inside(path).rename(kept)
        for each in self.root.iterdir():
            if each not in aside.values():
                shutil.rmtree(each)
        self.environment, self.workdir = {}, "/"
        for path, kept in aside.items():
            self.inside(path).parent.mkdir(parents=True, exist_ok=True)
            kept.rename(self.inside(path))
        self.kept = wanted

    def _from(self, step: Step) -> None:
        assert re.match(r"\$\{PYTHON_IMAGE\}", step.rest)

    def _arg(self, step: Step) -> None:
        pass

    def _env(self, step: Step) -> None:
        for pair in shlex.split(step.rest):
            name, _, value = pair.partition("=")
            self.environment[name] = value.replace("$PATH", os.defpath)

    def _workdir(self, step: Step) -> None:
        self.workdir = step.rest
        self.inside(".").mkdir(parents=True, exist_ok=True)

    def _copy(self, step: Step) -> None:
        *sources, target = [word for word in step.words if not word.startswith("--")]
        if "--from=" in step.rest:
            assert sources == [target], "a virtual environment works only where it was made"
            assert target in self.kept
            return
        seen = context()
        for source in sources:
            files = [path for path in seen if path == source or path.startswith(source.rstrip("/") + "/")]
            assert files, f"{source} is not in the context; see .dockerignore"
            for path in files:
                within = path.removeprefix(source).lstrip("/")
                goal = self.inside(target)
                goal = goal / within if within else goal / Path(path).name
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, goal)

    def _run(self, step: Step) -> None:
        words = step.words
        assert not re.search(r"[;&|<>`$]", step.rest), f"a shell is needed for: {step.rest}"
        if words[0] in {"groupadd", "useradd"}:
            return
        if "--require-hashes" in words:
            target = words[words.index("--python") + 1] if "--python" in words else words[0]
            self._link(target, self.inside(words[-1]))
            return
        words = [self.python if word == "python" else self._here(word) for word in words]
        if words[0] == "install" and os.getuid() != 0:
            words = [word for word in words if not re.match("--(owner|group)=", word)]
        subprocess.run(
            words, cwd=self.inside("."), env=self.surroundings(), check=True, capture_output=True, timeout=250
        )

    def _link(self, python: str, lock: Path) -> None:
        """
        Bring the requirements of a lock into an environment: those, in their versions, and nothing else.
        """
        (packages,) = self.inside(python).parent.parent.glob("lib/python*/site-packages")
        for name, version in locked(lock).items():
            found = importlib.metadata.distribution(name)
            assert found.version == version, f"{name} is {found.version} here and {version} in {lock.name}"
            tops = {Path(file).parts[0] for file in found.files or () if ".." not in Path(file).parts}
            for top in tops - {"__pycache__"}:
                place = packages / top
                if not place.exists():
                    place.symlink_to(Path(str(found.locate_file(top))).resolve())
                elif place.is_dir() and not place.is_symlink():
                    continue
                elif place.resolve() != Path(str(found.locate_file(top))).resolve():
                    raise AssertionError(f"two packages bring {top}")

    def _user(self, step: Step) -> None:
        self.user = int(step.rest.partition(":")[0])

    def _volume(self, step: Step) -> None:
        self.volumes += step.words

    def _expose(self, step: Step) -> None:
        self.ports += [int(word) for word in step.words]

    def _stopsignal(self, step: Step) -> None:
        assert step.rest == "SIGTERM"

    def _healthcheck(self, step: Step) -> None:
        options, _, command = step.rest.partition(" CMD ")
        self.health_options = dict(word[2:].split("=") for word in options.split())
        self.health = json.loads(command)

    def _cmd(self, step: Step) -> None:
        self.command = step.words

    def start(self, words: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """
        Start a program in the image, as its user where that is possible here.
        """
        user = {"user": self.user, "group": self.user, "extra_groups": []} if self.drops else {}
        found = shutil.which(words[0], path=self.surroundings()["PATH"])
        assert found, f"{words[0]} is not on the image's PATH"
        environment = self.surroundings() | options.pop("env", {})
        return subprocess.Popen([found, *words[1:]], cwd=self.inside("."), env=environment, **user, **options)

    @property
    def drops(self) -> bool:
        """
        Whether the program runs as the image's user and not as whoever runs the tests.
        """
        return os.getuid() == 0 and is_open_to_all(Path(self.python)) and is_open_to_all(self.root)


def is_open_to_all(path: Path) -> bool:
    """
    Tell whether any user can come to a file or folder.
    """
    path = path.resolve()
    return all(each.stat().st_mode & 0o001 for each in path.parents) and bool(path.stat().st_mode & 0o005)


def interpreter() -> str:
    """
    Return a Python of our own version that other users may run too, if there is one, else any that can make an
    environment; empty when there is none.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [
        Path(sys.executable).resolve(),
        Path("/usr/local/bin") / version,
        Path("/usr/bin") / version,
    ]
    able = [each for each in candidates if each.exists() and _fills(each)]
    return str(next((each for each in able if is_open_to_all(each)), able[0] if able else ""))


def _fills(python: Path) -> bool:
    """
    Tell whether a Python can fill a virtual environment with pip.
    """
    done = subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False)
    return done.returncode == 0
