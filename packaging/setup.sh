#!/usr/bin/env bash
# Makes a Debian host ready to build and test Inferward: packages, .venv, file systems.
#
#   setup.sh base    compiler, bpftool, bcc, .venv from locks/dev.txt, bpffs and tracefs
#   setup.sh demo    the model server's own environment, .cache/demo-venv
#   setup.sh bench   three more model servers: Triton, llama.cpp and TorchServe (Java), 2 GB
#   setup.sh vm      qemu and mmdebstrap
#
# Each step looks before it acts, so a second run only looks.
set -euo pipefail
cd "$(dirname "$0")/.."

# Keep what we say on one kind of line; apt and pip say the rest only when they fail.
say() { printf 'setup: %s\n' "$*"; }

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs the Debian packages that are missing.
packages() {
	local missing=() name
	for name in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "installing ${missing[*]}"
	# Package lists may be absent or older than the archive: then the first try fails.
	apt_install "${missing[@]}" >/dev/null 2>&1 && return 0
	as_root apt-get update -qq
	apt_install "${missing[@]}"
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# Makes the environment $1 from lock $2 unless it already came from that very lock.
# The rest are options of `python3 -m venv`.
environment() {
	local venv=$1 lock=$2 stamp=$1/installed.sha256
	shift 2
	if [ -x "$venv/bin/python" ] && sha256sum --quiet --check "$stamp" >/dev/null 2>&1; then
		return 0
	fi
	say "making $venv from $lock"
	[ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv "$@" "$venv"
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
	sha256sum "$lock" >"$stamp"
}

# Makes the packages of this tree importable from the environment, and `agent` a command in it.
checkout() {
	local venv=$1 target
	target=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	[ -f "$target/inferward.pth" ] && [ -x "$venv/bin/agent" ] && return 0
	printf '%s\n' "$PWD" >"$target/inferward.pth"
	cat >"$venv/bin/agent" <<-END
		#!$PWD/$venv/bin/python
		from agent.main import main
		if __name__ == "__main__":
		    main()
	END
	chmod +x "$venv/bin/agent"
}

mounted() {
	local kind=$1 where=$2
	[ -d "$where" ] || return 0
	grep -q " $where $kind " /proc/mounts && return 0
	say "mounting $kind on $where"
	as_root mount -t "$kind" "$kind" "$where" || say "no $kind here; agent doctor says what that costs"
}

base() {
	packages ca-certificates gcc libc6-dev clang llvm clang-format libbpf-dev libbpf1 bpftool \
		python3-bpfcc python3-venv
	environment .venv packaging/locks/dev.txt --system-site-packages
	checkout .venv
	mounted bpf /sys/fs/bpf
	mounted tracefs /sys/kernel/tracing
	mounted securityfs /sys/kernel/security
}

bench() {
	local torchserve=.cache/torchserve-venv
	environment .cache/triton-venv packaging/locks/triton.txt
	environment .cache/llamacpp-venv packaging/locks/llamacpp.txt
	packages openjdk-17-jre-headless
	environment "$torchserve" packaging/locks/torchserve.txt
	"$torchserve/bin/python" -c 'import torch' 2>/dev/null && return 0
	"$torchserve/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r packaging/locks/torch-cpu.txt ||
		say "no PyTorch for TorchServe: see packaging/locks/torch-cpu.txt; the benchmark goes on without it"
}

case ${1:-} in
base) base ;;
demo) environment .cache/demo-venv packaging/locks/demo.txt ;;
bench) bench ;;
vm) packages qemu-system-x86 mmdebstrap cpio zstd ;;
*)
	echo "usage: setup.sh base|demo|bench|vm" >&2
	exit 64
	;;
esac
