#!/usr/bin/env bash
# One trial, bare: own namespaces, httpd, its first answer, load, and the end of them all.
#   trial.sh DIRECTORY HTTPD        DIRECTORY has httpd.conf and logs/
set -euo pipefail
if [ "${3-}" != inside ]; then
  exec unshare -n -p -m -f --mount-proc --kill-child "$0" "$1" "$2" inside
fi
rm -f "$1"/cgid.sock* "$1/httpd.pid" # of the one before, which was killed
ip link set lo up
"$2" -f "$1/httpd.conf" -DFOREGROUND &
until { exec 3<>/dev/tcp/127.0.0.1/8080; } 2>/dev/null; do sleep 0.01; done
printf 'GET /cgi-bin/hello HTTP/1.0\r\n\r\n' >&3
grep -q '^HTTP/1.1 200' <&3
h2load --h1 -t 1 -c 50 -D 1000ms --warm-up-time=500ms http://127.0.0.1:8080/cgi-bin/hello >"$1/load.txt"
grep -q succeeded "$1/load.txt"
