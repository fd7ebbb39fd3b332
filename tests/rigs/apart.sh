#!/bin/sh
# Run a command with a network (loopback alone), processes, mounts and a /var/tmp of its own; other files, and the
# cores, are everybody's:
#
#     tests/rigs/apart.sh .venv/bin/python -m pytest tests/e2e/test_smoke.py
#
# What needs the machine's network enters it again: tests.workers.outside().
#
# Two of them see nothing of each other's httpds, ports, network sysctls, locks and work directories, so that tests of
# whole runs can go on side by side. Everything in it ends with it. Without root the command is run as it is.
set -eu
[ "$(id -u)" = 0 ] || exec "$@"
begin='ip link set lo up'
case $PWD/:${TMPDIR:-/tmp}/ in
/var/tmp/* | *:/var/tmp/*) ;; # what is needed must stay in sight
*) begin="$begin; mount -t tmpfs -o mode=1777 tmpfs /var/tmp" ;;
esac
exec 9</proc/self/ns/net
export CGIDLAB_TEST_NETWORK=9
# The first process stays a shell: it is who buries what others leave, as a machine's init does.
exec unshare --net --pid --mount --fork --kill-child --mount-proc -- sh -c "$begin"'; "$@"; exit $?' sh "$@"
