#!/bin/sh
# Runs /command; its output and exit status go to the second serial port, then the machine stops.
export PATH=/opt/inferward/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root TERM=dumb NO_COLOR=1
stty -F /dev/ttyS1 raw -echo
cd /opt/inferward || exit 1
sh /command >/dev/ttyS1 2>&1 </dev/null
printf '\nsession-exit %d\n' $? >/dev/ttyS1
sleep 1
echo b >/proc/sysrq-trigger
sleep 60
