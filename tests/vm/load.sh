#!/bin/sh
# The object built on this host loads, attaches and pins under the booted kernel, and lets go again.
set -eu
bpftool prog loadall probes/inferward.bpf.o /sys/fs/bpf/load-try
bpftool prog show | grep -c '^[0-9]*: '
rm -r /sys/fs/bpf/load-try
