"""System calls that reach beyond the process."""

from __future__ import annotations

from typing import Final

from detectors.assessment import Level
from detectors.rules.rule import SYSCALL, Rule, calls

RULES: Final = (
    Rule(
        "other-process",
        SYSCALL,
        calls("ptrace process_vm_readv process_vm_writev pidfd_getfd process_madvise kcmp"),
        Level.CRITICAL,
        "reaching into another process",
        ("T1055.008", "T1003", "AML.T0090"),
    ),
    Rule(
        "kernel-code",
        SYSCALL,
        calls(
            "init_module finit_module delete_module kexec_load kexec_file_load "
            "bpf iopl ioperm create_module syslog reboot swapon swapoff acct"
        ),
        Level.CRITICAL,
        "changing the kernel",
        ("T1547.006", "T1014"),
    ),
    Rule(
        "namespace",
        SYSCALL,
        calls(
            "mount umount2 move_mount open_tree open_tree_attr fsopen fsmount fsconfig fspick "
            "mount_setattr pivot_root chroot setns unshare open_by_handle_at "
            "name_to_handle_at"
        ),
        Level.CRITICAL,
        "leaving or changing its container",
        ("T1611", "AML.T0105"),
    ),
    Rule(
        # What came of it, more rights or fewer, is told as such.
        "rights-asked-for",
        SYSCALL,
        calls(
            "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups "
            "capset prctl.(?:set-keepcaps|set-securebits|ambient-capabilities)"
        ),
        Level.MEDIUM,
        "asking to be another user, or for other rights",
        ("T1548", "T1134"),
    ),
    Rule(
        "privileges",
        SYSCALL,
        calls(
            "keyctl add_key request_key sethostname lsm_set_self_attr "
            "setdomainname settimeofday clock_settime adjtimex clock_adjtime personality"
        ),
        Level.HIGH,
        "changing its own privileges or the host's identity",
        ("T1548", "T1134"),
    ),
    Rule(
        "disguise",
        SYSCALL,
        calls("prctl.set-mm"),
        Level.HIGH,
        "changing what the kernel says about its program and arguments",
        ("T1036", "T1055"),
    ),
    Rule(
        "opens-itself",
        SYSCALL,
        calls("prctl.set-ptracer"),
        Level.MEDIUM,
        "letting another process reach into it",
        ("T1055.008",),
    ),
    Rule(
        "types",
        SYSCALL,
        calls("ioctl.type-on-terminal"),
        Level.HIGH,
        "typing on a terminal for whoever sits there",
        ("T1674", "T1059"),
    ),
    Rule(
        "exploit-helper",
        SYSCALL,
        calls(
            "userfaultfd perf_event_open vmsplice add_key fanotify_init quotactl quotactl_fd "
            "lookup_dcookie modify_ldt uselib vm86 vm86old pkey_mprotect"
        ),
        Level.HIGH,
        "a call used by exploits and seldom by servers",
        ("T1068",),
    ),
    Rule(
        "hidden-work",
        SYSCALL,
        calls("memfd_create memfd_secret io_uring_setup io_uring_register execveat"),
        Level.MEDIUM,
        "a call that can hide files or input and output",
        ("T1620", "T1564"),
    ),
)
