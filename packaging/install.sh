#!/usr/bin/env bash
# Installs the built tree:  install.sh [--remove] DESTDIR PREFIX
#
#   PREFIX/lib/inferward/venv   the agent and its libraries, beside the distribution's bcc
#   PREFIX/bin/agent            the command
#   PREFIX/share/inferward      examples of operator probes
#   /etc/inferward              configuration; never overwritten, never removed
#
# INFERWARD_EXTRA=central adds the store that `agent central` needs.
set -euo pipefail
cd "$(dirname "$0")/.."

remove=no
if [ "${1:-}" = --remove ]; then
	remove=yes
	shift
fi
dest=${1-} prefix=${2:-/usr}
home=$prefix/lib/inferward
units=$prefix/lib/systemd/system

installed() {
	printf '%s\n' "$home" "$prefix/bin/agent" "$units"/inferward{,-central}.service \
		"$prefix/lib/sysusers.d/inferward.conf" "$prefix/share/man/man1/agent.1" \
		"$prefix/share/man/man5/inferward-probes.d.5" \
		"$prefix/share/inferward" \
		"$prefix/share/bash-completion/completions/agent" \
		"$prefix/share/zsh/vendor-completions/_agent" \
		"$prefix/share/fish/vendor_completions.d/agent.fish"
}

if [ "$remove" = yes ]; then
	installed | while read -r path; do rm -rf "$dest$path"; done
	exit 0
fi

# Libraries with hashes, by the pip of this checkout: the installed environment has none.
venv=$dest$home/venv
lock=packaging/locks/${INFERWARD_EXTRA:-runtime}.txt
[ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv --system-site-packages --without-pip "$venv"
.venv/bin/python -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check \
	--require-hashes --no-deps --no-compile --requirement "$lock"

site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
for package in agent collectors detectors probes; do
	rm -rf "${site:?}/$package"
	# What runs and its data; neither the probes' sources nor caches.
	find "$package" -type f \( -name '*.py' -o -name '*.toml' -o -name '*.sql' -o -name '*.bpf.o' \
		-o -name events.h \) -print0 | xargs -0 cp --parents -t "$site"
done
git rev-parse --short HEAD >"$site/agent/commit.txt" 2>/dev/null || echo unknown >"$site/agent/commit.txt"
"$venv/bin/python" -m compileall -q -s "$dest" "$site/"{agent,collectors,detectors,probes}

# Written here and not by pip: its first line names the final place, not DESTDIR.
printf '#!%s\nfrom agent.main import main\n\nif __name__ == "__main__":\n    main()\n' "$home/venv/bin/python" >"$venv/bin/agent"
chmod 755 "$venv/bin/agent"
install -d "$dest$prefix/bin"
ln -sfn "$home/venv/bin/agent" "$dest$prefix/bin/agent"

install -D -m 644 -t "$dest$units" packaging/systemd/inferward.service \
	packaging/systemd/inferward-central.service
install -D -m 644 packaging/systemd/inferward.sysusers "$dest$prefix/lib/sysusers.d/inferward.conf"
# The unit names the command where /usr has it.
sed -i "s|^ExecStart=/usr/bin/agent|ExecStart=$prefix/bin/agent|" \
	"$dest$units"/inferward{,-central}.service

"$venv/bin/python" packaging/man/generate.py "$dest$prefix/share"

# Examples: copied to /etc/inferward/probes.d, they run.
install -D -m 644 -t "$dest$prefix/share/inferward/probes.d" packaging/probes.d/*
install -d -m 755 "$dest/etc/inferward"/{agent.d,probes.d,workloads.d}
[ -e "$dest/etc/inferward/agent.toml" ] ||
	install -m 640 packaging/agent.toml "$dest/etc/inferward/agent.toml"
[ -e "$dest/etc/inferward/central.toml" ] ||
	install -m 644 packaging/systemd/central.toml "$dest/etc/inferward/central.toml"

if [ -z "$dest" ] && [ -d /run/systemd/system ]; then
	systemd-sysusers "$prefix/lib/sysusers.d/inferward.conf"
	systemctl daemon-reload
	echo "installed; start it with: systemctl enable --now inferward"
fi
