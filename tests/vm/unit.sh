#!/bin/sh
# inferward.service as packaged, under a real systemd: started, asked, crashed, restarted, stopped.
set -eu
ln -sf /opt/inferward/.venv/bin/agent /usr/bin/agent
install -D -m 644 packaging/agent.toml /etc/inferward/agent.toml
install -m 644 packaging/systemd/inferward.service /etc/systemd/system/
install -D -m 644 packaging/systemd/inferward.sysusers /usr/lib/sysusers.d/inferward.conf
systemd-sysusers
systemctl daemon-reload
trap 'journalctl --no-pager -u inferward.service | tail -n 40' EXIT

systemctl start inferward.service
systemctl is-active inferward.service
agent status

first=$(systemctl show -p MainPID --value inferward.service)
# In force after the start: BPF, SYS_PTRACE and DAC_READ_SEARCH alone (agent/powers.py), in every thread.
if grep -h CapEff "/proc/$first"/task/*/status | grep -v 0000008000080004; then exit 1; fi
kill -KILL "$first"
for _ in $(seq 60); do
	sleep 1
	now=$(systemctl show -p MainPID --value inferward.service)
	if [ "$now" != "$first" ] && systemctl --quiet is-active inferward.service; then break; fi
done
echo "restarted: $first -> $now"
agent status

systemctl stop inferward.service
[ "$(systemctl show -p Result --value inferward.service)" = success ]
trap - EXIT
systemd-analyze security --no-pager inferward.service | tail -n 1
