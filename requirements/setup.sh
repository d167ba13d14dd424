#!/bin/sh
# Make .venv in the checkout and install the locked requirements and the package into it.
#
# Needs Python 3.11 or later, or uv. A Python without ensurepip (as Debian ships it) is enough where uv,
# virtualenv or pip is there to fill the environment. Running it again repairs and updates what is there.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
lock=requirements/dev.txt

say() { printf '%s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }

# Print the newest Python that fits; a name on PATH may be a stub, so each is asked.
find_python() {
  for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
    if has "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s\n' "$name"
      return
    fi
  done
}

# Say which one command makes this work here, and stop.
give_up() {
  say "$1"
  if has apt-get; then
    say "Run this, then the same make command again:"
    if [ "$(id -u)" = 0 ]; then say "  apt-get update && apt-get install -y python3-venv"
    else say "  sudo apt-get update && sudo apt-get install -y python3-venv"; fi
    [ -z "${python:-}" ] && say "If that brings a Python older than 3.11, install uv instead."
  elif has dnf; then
    say "Run this, then the same make command again:"
    say "  sudo dnf install -y python3.12"
  elif has brew; then
    say "Run this, then the same make command again:"
    say "  brew install python@3.13"
  else
    say "Install Python 3.11 or later with its venv module, or uv."
  fi
  exit 1
}

python=$(find_python)

# Its scripts name their Python by an absolute path, so an environment that was moved is of no use.
usable() {
  grep -qF "$(pwd -P)/$venv" "$venv/bin/activate" 2>/dev/null &&
    "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if ! usable; then
  rm -rf "$venv"
  if [ -n "$python" ]; then
    say "Making $venv with $("$python" --version)."
    if has uv; then
      uv venv --quiet --python "$(command -v "$python")" "$venv"
    elif "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      "$python" -m venv "$venv"
    elif has virtualenv; then
      virtualenv --quiet --python "$python" "$venv"
    elif "$python" -m pip --version >/dev/null 2>&1 && "$python" -m venv --without-pip "$venv" >/dev/null 2>&1; then
      : # the pip outside fills it, below
    else
      rm -rf "$venv"
      give_up "$("$python" --version) is here, but nothing that can fill a virtual environment."
    fi
  elif has uv; then
    say "Making $venv with a Python that uv brings."
    uv venv --quiet --python 3.13 "$venv"
  else
    give_up "No Python 3.11 or later was found."
  fi
fi

install() {
  if has uv; then
    uv pip install --quiet --python "$venv/bin/python" "$@"
  elif "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
  elif [ -n "$python" ] && "$python" -m pip --version >/dev/null 2>&1; then
    "$python" -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check "$@"
  else
    give_up "$venv has no pip, and there is none outside it."
  fi
}

say "Installing the locked requirements (a minute or so the first time)."
install --require-hashes --requirement "$lock"
install --no-deps --no-build-isolation --editable .
pwd -P | tr -d '\n' >"$venv/.installed"
say "Ready: $venv"
