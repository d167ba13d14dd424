#!/bin/sh
# Install the service from a checkout or an unpacked release, as root: sh deploy/systemd/install.sh
#
# Needs Python 3.11 or later with its venv module, and systemd. Running it again upgrades what is there; settings and
# data stay as they are. With ROOT=FOLDER it installs below that folder, for an image, and starts nothing.
set -eu
umask 022 # the service's user has to read what root installs
cd "$(dirname "$0")/../.."

root=${ROOT:-}
python=${PYTHON:-python3}
program=$root/opt/onelogin-connector
settings=$root/etc/onelogin-connector/onelogin-connector.toml

say() { printf '%s\n' "$*" >&2; }

if ! "$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  say "Python 3.11 or later with its venv module is needed. On Debian: apt-get install -y python3-venv"
  exit 1
fi

say "Installing the program into $program (a minute or so)."
mkdir -p "$program"
# the package is built beside the environment that runs it, which holds nothing it does not need
build=$program/build/bin/python
"$python" -m venv --clear "$program/build"
"$build" -m pip install --quiet --require-hashes --requirement requirements/build.txt
"$build" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$program/build/wheels" .
"$python" -m venv --without-pip "$program/venv"
"$build" -m pip --python "$program/venv/bin/python" install --quiet --require-hashes --requirement requirements/azure.txt
"$build" -m pip --python "$program/venv/bin/python" install --quiet --no-deps --no-index --force-reinstall "$program"/build/wheels/*.whl
rm -rf "$program/build"

say "Installing user, folders and unit."
install -D -m 0644 deploy/systemd/onelogin-connector.service "$root/etc/systemd/system/onelogin-connector.service"
install -D -m 0644 deploy/systemd/onelogin-connector.sysusers "$root/etc/sysusers.d/onelogin-connector.conf"
install -D -m 0644 deploy/systemd/onelogin-connector.tmpfiles "$root/etc/tmpfiles.d/onelogin-connector.conf"
mkdir -p "${settings%/*}"
if [ ! -e "$settings" ]; then
  "$program/venv/bin/onelogin-connector" --config "$settings" init
fi
if [ -n "$root" ]; then
  exit 0
fi

systemd-sysusers /etc/sysusers.d/onelogin-connector.conf
systemd-tmpfiles --create /etc/tmpfiles.d/onelogin-connector.conf
systemctl daemon-reload
systemctl enable onelogin-connector.service
say "Ready. Edit $settings, then: systemctl restart onelogin-connector"
