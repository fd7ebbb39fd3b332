#!/usr/bin/env bash
# Make .venv hold exactly what a lock file names; the only script that installs anything by itself.
#
#     scripts/setup.sh [requirements.lock | requirements-dev.lock]
#
# A second call with the same lock ends at once. The stamp is written last, so a
# set-up that was interrupted, an environment that was moved and one whose Python
# was upgraded away are all made anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lock=${1:-requirements.lock}
stamp=.venv/.cgidlab-stamp
# The newest that the packages are tested with by their makers is preferred: with 3.12 and newer, ansible-core is newer too.
pythons=(python3.13 python3.12 python3.11 python3)
unset PYTHONHOME PYTHONPATH
# The environment that is to be replaced must not make its successor.
PATH=${PATH//"$PWD/.venv/bin:"/}

say() { printf 'setup: %s\n' "$*" >&2; }

die() { # what, what to do
  printf 'error: %s\n  fix: %s\n' "$1" "$2" >&2
  exit 1
}

# Run a command; show what it said only if it failed. sudo asks for a password on the terminal itself.
quietly() {
  local said
  if ! said=$("$@" 2>&1); then
    printf '%s\n' "$said" >&2
    return 1
  fi
}

# What the stamp must say: the lock and its hash, where .venv is and which Python it has.
fingerprint() {
  printf '%s %s %s %s\n' "$1" "$(sha256sum <"$1" | cut -d' ' -f1)" "$PWD" \
    "$(.venv/bin/python -I -c 'import sys; print(sys.version.split()[0])' 2>/dev/null || echo none)"
}

# requirements-dev.lock includes every package of requirements.lock, in the same version.
is_current() {
  [ -f "$stamp" ] && { [ "$(<"$stamp")" = "$(fingerprint "$1")" ] ||
    [ "$(<"$stamp")" = "$(fingerprint requirements-dev.lock)" ]; }
}

# Print the first Python that is new enough and can make environments.
find_python() {
  local name base
  for name in "${pythons[@]}"; do
    # Its base, where it belongs to an environment that somebody activated.
    base=$("$name" -I -c 'import sys; print(sys.version_info >= (3, 11) and sys._base_executable or "")' 2>/dev/null) || continue
    # Debian ships the venv module without ensurepip, so that importing venv proves nothing.
    if [ -n "$base" ] && "$base" -I -m ensurepip --version >/dev/null 2>&1; then
      printf '%s\n' "$base"
      return
    fi
  done
  return 1
}

# Install the distribution's package that gives find_python something to find.
install_python() {
  local -a become=() packages=() install=()
  # A network that is not there has to be said in seconds.
  local -a quick=(-o Acquire::Retries=1 -o Acquire::http::Timeout=8 -o Acquire::https::Timeout=8)
  local package manual
  if command -v apt-get >/dev/null; then
    packages=(python3-venv)
    # Where the default Python is too old (Ubuntu 22.04), its venv package would not help.
    if python3 -I -c 'import sys; sys.exit(sys.version_info >= (3, 11))' 2>/dev/null; then
      packages=(python3.13-venv python3.12-venv python3.11-venv)
    fi
    manual='apt-get install'
    install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends
      "${quick[@]}" -o DPkg::Lock::Timeout=300)
  elif command -v dnf >/dev/null; then
    packages=(python3.12 python3.11)
    manual='dnf install'
    install=(dnf install -q -y)
  else
    die "no Python 3.11 or newer that can make virtual environments, and neither apt-get nor dnf to install one" \
      "install Python 3.11, 3.12 or 3.13 with its venv module, then run this again"
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "no Python 3.11 or newer can make virtual environments here, and sudo is not there to install one" \
        "as root: ${manual} ${packages[0]}"
    become=(sudo)
  fi
  local by=${become[*]:+with ${become[*]}}
  : "${by:=as root}"
  if [ "$manual" = "apt-get install" ]; then
    say "no Python here can make virtual environments; running apt-get update $by"
    quietly "${become[@]}" apt-get update -qq "${quick[@]}" || say "going on with the package lists that are there"
  fi
  for package in "${packages[@]}"; do
    say "running $manual $package $by; set-up installs no other system package"
    if quietly "${become[@]}" "${install[@]}" "$package" && find_python >/dev/null; then
      return
    fi
  done
  die "no Python 3.11 or newer that can make virtual environments could be installed (tried: ${packages[*]})" \
    "see the package manager's words above; install one of them, then run this again"
}

# Leave of the user's pip settings only those that say how PyPI, or a mirror of it, is reached.
# Others (user, target, find-links, constraint, ...) would change what is installed or where.
isolate_pip() {
  local settings section key value name
  local -A kept=()
  settings=$(.venv/bin/python -m pip config list 2>/dev/null || true)
  for section in global install :env:; do # later ones win, as in pip
    for key in index-url proxy cert client-cert trusted-host timeout; do
      value=$(sed -n "s/^$section\.$key='\(.*\)'\$/\1/p" <<<"$settings")
      [ -z "$value" ] || kept[$key]=$value
    done
  done
  for name in $(compgen -e PIP_ || true); do unset "$name"; done
  for key in "${!kept[@]}"; do
    name=${key//-/_}
    export "PIP_${name^^}=${kept[$key]}"
  done
  export PIP_CONFIG_FILE=/dev/null PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_RETRIES=10
}

# Say within seconds, and not after all of pip's tries, that the package index cannot be reached, and what its name is.
# Whatever answers there is an answer: what it is worth is pip's to say.
reach_index() {
  local lost
  lost=$(.venv/bin/python -I - "${PIP_INDEX_URL:-https://pypi.org/simple/}" "${PIP_PROXY:-}" 2>&1 <<'PYTHON'
import socket, sys, threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

index, proxy = sys.argv[1:]
PORTS, LIMIT_S, place = {"http": 80, "https": 443}, 8, urlsplit(index)
if place.scheme not in PORTS or not place.hostname:
    sys.exit(0)
proxy = proxy or ("" if proxy_bypass(place.hostname) else getproxies().get(place.scheme, ""))
if proxy:
    place = urlsplit(proxy if "://" in proxy else "http://" + proxy)
port, said = place.port or PORTS.get(place.scheme, 80), []

def ask():
    try:
        socket.create_connection((place.hostname, port), LIMIT_S).close()
        said.append("")
    except OSError as error:
        said.append(error.strerror or str(error))

thread = threading.Thread(target=ask, daemon=True)  # a name server may be silent for longer than a connect
thread.start()
thread.join(LIMIT_S)
why = said[0] if said else f"no answer in {LIMIT_S} s"
sys.exit(f"{place.hostname}:{port} ({why})" if why else 0)
PYTHON
  ) || die "the package index cannot be reached: $lost" \
    "check the network and its name server; behind a proxy set https_proxy; for a mirror: pip config set global.index-url URL"
}

install_packages() {
  local attempt said
  # A lock may name no package, and needs no network then.
  if grep -q "^[a-zA-Z0-9]" "$lock"; then reach_index; fi
  for attempt in 1 2 3; do
    # Wheels alone: nothing is compiled, and no package runs code of its own to be installed.
    if said=$(.venv/bin/python -m pip install -q --require-hashes --only-binary :all: -r "$lock" 2>&1); then
      return
    fi
    printf '%s\n' "$said" >&2
    case $said in
    *'DO NOT MATCH THE HASHES'*)
      die "a package is not the one that $lock names; nothing of it was installed" \
        "find out whether the package index or mirror in use can be trusted before you try again"
      ;;
    esac
    say "pip failed (attempt $attempt of 3)"
    sleep $((attempt * 3)) # a mirror's hiccup has no condition to wait for
  done
  die "the packages of $lock could not be installed" "see pip's words above; check the network, then run this again"
}

[ -f "$lock" ] || die "there is no lock file $lock" "use requirements.lock or requirements-dev.lock"
is_current "$lock" && exit 0

mkdir -p .cache
exec 9>.cache/setup.lock
flock 9 # two makes at once: the second waits and finds the work done
is_current "$lock" && exit 0

# An up-to-date requirements.lock environment only needs the development packages on top.
if ! is_current requirements.lock; then
  python=$(find_python) || { install_python && python=$(find_python); }
  rm -rf .venv
  say "making .venv with $("$python" -V) ($python)"
  "$python" -I -m venv .venv
fi
rm -f "$stamp"
say "installing the packages of $lock into .venv"
isolate_pip
install_packages
fingerprint "$lock" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "done"
