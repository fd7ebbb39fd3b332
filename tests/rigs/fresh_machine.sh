#!/usr/bin/env bash
# A new machine without a hypervisor: a minimal Debian or Ubuntu root with git, make and Python, in which
# one make target is run in a fresh clone, in its own mount, PID, UTS and IPC namespace. Needs root and mmdebstrap.
#
#     tests/rigs/fresh_machine.sh create DIR             make the root in DIR
#     tests/rigs/fresh_machine.sh run DIR TARGET...      clone HEAD of this repository into it, run `make TARGET...`
#     tests/rigs/fresh_machine.sh shell DIR COMMAND      the same machine, one command of sh
#
#     FRESH_SUITE     bookworm (default), trixie, noble, ...
#     FRESH_MIRROR    archive to take it from; mmdebstrap's default for the suite if unset
#     FRESH_KEYRING   file of keys that signed it, where the distribution's own keyring package is not installed here
#     FRESH_PACKAGES  what the machine has beside apt
#     FRESH_COMPONENTS  of the archive (main); Ubuntu's own images have "main,universe"
#     FRESH_APTOPTS   apt options for making it, separated by ';', e.g. "Acquire::Retries 5"
#     FRESH_FILES     files of this machine that it needs to reach its registries, e.g. "/etc/pip.conf /etc/ssl/certs/ca-certificates.crt"
#     FRESH_ENV       names of environment variables to pass on, e.g. "https_proxy PIP_CERT"
#     FRESH_USER      run as this user, made with sudo rights and no password, instead of root
#     FRESH_COMMIT    what to check out (HEAD)
#
# The machine shares this one's network and kernel. With `run` the clone is made anew, the root is kept.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
suite=${FRESH_SUITE:-bookworm}
packages=${FRESH_PACKAGES:-git make python3 sudo ca-certificates}
user=${FRESH_USER:-root}

usage() {
  sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
}

create() { # root
  local -a options=()
  local option
  while IFS= read -r -d ';' option; do
    [ -z "$option" ] || options+=(--aptopt="$option")
  done <<<"${FRESH_APTOPTS:-};"
  [ -z "${FRESH_KEYRING:-}" ] || options+=(--keyring="$FRESH_KEYRING")
  mmdebstrap --quiet --variant=minbase --include="apt,${packages// /,}" --components="${FRESH_COMPONENTS:-main}" "${options[@]}" \
    "$suite" "$1" ${FRESH_MIRROR:+"$FRESH_MIRROR"}
}

prepare() { # root: what every start needs from this machine
  local file
  for file in /etc/resolv.conf ${FRESH_FILES:-}; do
    mkdir -p "$1$(dirname "$file")"
    cp --dereference --remove-destination "$file" "$1$file"
  done
  printf '127.0.0.1 localhost fresh\n::1 localhost\n' >"$1/etc/hosts"
  if [ "$user" != root ] && ! chroot "$1" id "$user" >/dev/null 2>&1; then
    chroot "$1" useradd --create-home --shell /bin/bash "$user"
    printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$user" >"$1/etc/sudoers.d/$user"
  fi
}

clone() { # root: a clone of the commit, without any file of the working tree
  local home=$1/root
  [ "$user" = root ] || home=$1/home/$user
  rm -rf "$home/cgidlab"
  git -c advice.detachedHead=false clone --quiet --no-local "$repository" "$home/cgidlab"
  git -C "$home/cgidlab" -c advice.detachedHead=false checkout --quiet \
    "$(git -C "$repository" rev-parse "${FRESH_COMMIT:-HEAD}")"
  chroot "$1" chown -R "$user:" "${home#"$1"}/cgidlab"
}

enter() { # root command...: run it there as $user, without a terminal
  local root=$1 name
  shift
  local -a environment=(LANG=C.UTF-8 TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
  for name in ${FRESH_ENV:-}; do environment+=("$name=${!name-}"); done
  local -a as_user=(env -i HOME=/root USER=root "${environment[@]}")
  # sudo would drop the environment, and its rules are part of what is tested.
  [ "$user" = root ] || as_user=(setpriv --reuid="$user" --regid="$user" --init-groups env -i HOME="/home/$user" USER="$user" "${environment[@]}")
  # pivot_root and not chroot: the kernel refuses user namespaces to whoever sits in a chroot.
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --pid --uts --ipc --fork --kill-child --propagation private bash -euc '
    root=$1; shift
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount --rbind /dev dev
    mount -t tmpfs tmpfs run
    hostname fresh
    mkdir -p .old
    pivot_root . .old
    exec chroot . /bin/sh -ec "umount -l /.old; rmdir /.old; exec \"\$@\"" sh "$@"
  ' bash "$root" "${as_user[@]}" "$@" </dev/null
}

[ $# -ge 2 ] || usage
verb=$1 root=$2
shift 2
case $verb in
create)
  create "$root"
  ;;
run)
  [ $# -ge 1 ] || usage
  prepare "$root"
  clone "$root"
  # shellcheck disable=SC2016 # same
  enter "$root" sh -c 'cd "$HOME/cgidlab" && exec make "$@"' sh "$@"
  ;;
shell)
  prepare "$root"
  enter "$root" sh -c "$*"
  ;;
*) usage ;;
esac
