"""Places where a write survives a restart, or changes what the host runs."""

from __future__ import annotations

from typing import Final

from detectors.assessment import Level
from detectors.rules.rule import WRITE, Rule

RULES: Final = (
    Rule(
        "scheduled-task",
        WRITE,
        (
            r"^/etc/(?:cron[^/]*|anacrontab|at\.(?:allow|deny))(?:/|$)|"
            "^/var/spool/(?:cron|at)/"
        ),
        Level.CRITICAL,
        "a scheduled task: it would survive a restart",
        ("T1053.003",),
    ),
    Rule(
        "service-unit",
        WRITE,
        (
            r"/systemd/(?:system|user)[^/]*/|^/etc/(?:init\.d|rc\.local|rc\d?\.d|"
            r"inittab|xinetd\.d|supervisor)(?:/|$)|\.(?:service|timer)$"
        ),
        Level.CRITICAL,
        "a system service: it would survive a restart",
        ("T1543.002",),
    ),
    Rule(
        "login-access",
        WRITE,
        (
            r"/authorized_keys\d?$|/\.ssh/|^/etc/(?:passwd|group|shadow|sudoers|"
            r"ssh/|pam\.d/|security/)"
        ),
        Level.CRITICAL,
        "a way to log in",
        ("T1098.004", "T1136"),
    ),
    Rule(
        "shell-startup",
        WRITE,
        (
            r"/\.(?:bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|"
            "zshenv|zprofile|kshrc|cshrc|login|xprofile|config/fish/|"
            r"config/autostart/)|^/etc/(?:profile|bash\.bashrc|environment|zsh/|"
            r"motd|update-motd\.d)"
        ),
        Level.CRITICAL,
        "a file that runs at every login",
        ("T1546.004",),
    ),
    Rule(
        "interpreter-startup",
        WRITE,
        # PyTorch names weights the same: outside the directories that Python reads at its start, a
        # name that says so is no start file.
        r"/(?:site|dist)-packages/(?:.*/)?[^/]+\.pth$"
        r"|(?:^|/)(?![^/]*(?:model|weight|checkpoint|ckpt|epoch|step|best|last|final|lora|adapter|"
        r"consolidated|state|encoder|decoder|net|\d{2,}))[^/]+\.pth$"
        r"|/(?:site|user)customize\.py$|/PYTHONSTARTUP|/\.pythonrc",
        Level.CRITICAL,
        "a file that runs at every start of Python",
        ("T1546.018", "AML.T0011.001"),
    ),
    Rule(
        "preload",
        WRITE,
        r"^/etc/ld\.so\.|/ld\.so\.preload$",
        Level.CRITICAL,
        "a list of libraries loaded into every program",
        ("T1574.006",),
    ),
    Rule(
        "kernel-hook",
        WRITE,
        (
            r"^/etc/(?:udev|modprobe\.d|modules|modules-load\.d|initramfs-tools|"
            "dkms|kernel)(?:/|$)|^/lib/(?:udev|modules)/|^/usr/lib/(?:udev|"
            "modules|dracut)/|^/boot/|^/proc/sys/kernel/|/release_agent$|"
            "^/sys/kernel/|/uevent_helper$|^/sys/fs/cgroup/.*release_agent"
        ),
        Level.CRITICAL,
        "a way into the kernel or out of a container",
        ("T1547.006", "T1611", "AML.T0105"),
    ),
    Rule(
        "program-replaced",
        WRITE,
        (
            "^/(?:usr/(?:local/)?)?s?bin/|^/(?:usr/(?:local/)?)?lib(?:32|64|"
            "x32)?/(?!python[^/]*/(?:site|dist)-packages/.*__pycache__|"
            ".*/__pycache__/)|^/etc/alternatives/"
        ),
        Level.HIGH,
        "an installed program or library",
        ("T1554", "T1574"),
    ),
    Rule(
        "name-resolution",
        WRITE,
        r"^/etc/(?:hosts|resolv\.conf|nsswitch\.conf|apt/|hosts\.allow|hosts\.deny)",
        Level.HIGH,
        "the host's name resolution or package sources",
        ("T1565.001",),
    ),
)
