#!/bin/sh
# A hook: the listening unix sockets of the trial, ten times a second until the window ends. As root it may read more.
trap 'exit 0' TERM
echo "httpd $CGIDLAB_HTTPD_PID, daemon $CGIDLAB_DAEMON_PID, window $CGIDLAB_WINDOW_S s"
while :; do
    grep ' 00010000 ' /proc/net/unix >> sockets.txt
    sleep 0.1
done
