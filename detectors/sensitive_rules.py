"""What is dangerous by itself in a process that serves models: data, no logic.

Technique ids are of the editions named below; the lists renumber, so the edition is kept with
them. Every reason completes the sentence "the server did this, which is ...".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detectors.assessment import Level
from detectors.window import ItemKind

ATTACK_EDITION: Final = "ATT&CK v17"
ATLAS_EDITION: Final = "ATLAS v5.6.0"


@dataclass(frozen=True, slots=True)
class Rule:
    """One sensitive class.

    Attributes:
        name: Short, stable.
        kinds: What it applies to.
        pattern: Regular expression, searched in the item.
        level: How serious the first sight of it is in a guarded workload.
        reason: Plain words.
        techniques: ATT&CK and ATLAS ids.
        invariant: Never ordinary, not even while learning: reported at once and not learnt.
    """

    name: str
    kinds: frozenset[ItemKind]
    pattern: str
    level: Level
    reason: str
    techniques: tuple[str, ...]
    invariant: bool = False


def _any_of(*names: str) -> str:
    return r"(?:^|/)(?:" + "|".join(names) + r")(?: \(deleted\))?$"


_EXEC: Final = frozenset({ItemKind.EXEC})
_READ: Final = frozenset({ItemKind.FILE, ItemKind.WRITE, ItemKind.MODEL})
_WRITE: Final = frozenset({ItemKind.WRITE})
_PEER: Final = frozenset({ItemKind.PEER})
_LIBRARY: Final = frozenset({ItemKind.LIBRARY})
_SYSCALL: Final = frozenset({ItemKind.SYSCALL})

_CRITICAL: Final = Level.CRITICAL
_HIGH: Final = Level.HIGH

_PROGRAMS: Final = (
    Rule("volatile-program", _EXEC, r"^(?:/tmp|/var/tmp|/dev/shm|/run/shm|/dev/mqueue)/|^memfd:|^/memfd:|/proc/\S+/fd/",
         _CRITICAL, "a program run from a place where programs are dropped, not installed",
         ("T1059", "T1036.005", "AML.T0050", "AML.T0074")),
    Rule("shell", _EXEC, _any_of(r"(?:r|l|da|ba|z|k|mk|pdk|c|tc|fi|a|ya|pw|x?on|nu|el|dt)?sh(?:[0-9.]*)", "busybox", "toybox", "rbash"),
         _CRITICAL, "a shell, the usual first step after taking over a server",
         ("T1059.004", "AML.T0050")),
    Rule("interpreter", _EXEC, _any_of(r"(?:perl|ruby|php|lua(?:jit)?|tclsh|expect|node|nodejs|deno|bun|gawk|mawk|awk|Rscript|julia|osascript)[0-9.]*"),
         _CRITICAL, "an interpreter that can run any script", ("T1059", "AML.T0050")),
    Rule("network-tool", _EXEC, _any_of(r"(?:nc|ncat|netcat|nc\.openbsd|nc\.traditional|socat|curl|wget|wget2|aria2c|ftp|lftp|tftp|telnet|ssh|scp|sftp|rsync|rclone|nmap|masscan|zmap|tcpdump|tshark|dig|nslookup|host|chisel|frpc|ngrok|cloudflared|tor|torsocks|proxychains4?|openssl|gsocket|gs-netcat|iodine|dnscat2?)"),
         _CRITICAL, "a tool that moves data or opens remote access",
         ("T1105", "T1071", "AML.T0072")),
    Rule("account-tool", _EXEC, _any_of("sudo", "su", "doas", "pkexec", "passwd", "chpasswd", "useradd", "usermod", "crontab", "at", "systemctl", "insmod", "modprobe", "mount", "nsenter", "unshare", "chroot", "runc", "docker", "kubectl", "gdb", "strace", "iptables", "nft", "chattr", "setcap"),
         _CRITICAL, "a tool that changes accounts, services, the kernel or another process",
         ("T1548", "T1543", "AML.T0050")),
    Rule("discovery-tool", _EXEC, _any_of("id", "whoami", "uname", "hostname", "ifconfig", "ip", "ss", "netstat", "ps", "w", "who", "lsof", "env", "printenv", "find", "grep", "cat", "ls", "base64", "xxd", "tar", "zip", "gzip", "7z", "dd", "xmrig", "xmr-stak", "cpuminer", "minerd", "ethminer", "t-rex", "lolMiner"),
         _CRITICAL, "a tool for looking around, packing or mining, which a server has no need to run",
         ("T1082", "T1083", "AML.T0050")),
    Rule("compiler", _EXEC, _any_of(r"(?:x86_64-linux-gnu-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|cc1|cc1plus|as|ld|ld\.\w+|collect2|tcc|rustc|go|nvcc|ptxas|cicc|make|cmake|ninja)(?:-[0-9.]+)?"),
         _HIGH, "a compiler, in a server that did not compile while it was learnt",
         ("T1027.004",)),
)

_SECRETS: Final = (
    Rule("private-key", _READ, r"/\.ssh/|\.(?:pem|key|p12|pfx|ppk|jks|keystore|kdbx|asc|gpg)$|/\.gnupg/|/etc/ssh/ssh_host_|(?:^|/)id_(?:rsa|dsa|ecdsa|ed25519)[^/]*$|/etc/(?:ssl|pki)/private/",
         _CRITICAL, "a private key", ("T1552.004", "AML.T0055")),
    Rule("cloud-credentials", _READ, r"/\.(?:aws|azure|kube|docker|oci|boto|s3cfg|config/gcloud|config/gh|config/rclone|config/hub)(?:/|$)|/\.config/(?:gcloud|gh|rclone|hub|azure|doctl)(?:/|$)|application_default_credentials",
         _CRITICAL, "credentials of a cloud account", ("T1552.001", "AML.T0055")),
    Rule("service-account", _READ, r"/secrets/kubernetes\.io/|/run/secrets/|/etc/kubernetes/|/var/lib/kubelet/|/etc/rancher/",
         _CRITICAL, "the token of a service account", ("T1552.001", "T1528", "AML.T0055")),
    Rule("hub-token", _READ, r"/(?:\.cache/)?huggingface/(?:token|stored_tokens)$|/\.huggingface/|/\.(?:netrc|npmrc|pypirc|git-credentials|pgpass|my\.cnf|vault-token|bash_history|zsh_history|python_history|psql_history|wandb|kaggle)(?:/|$)",
         _CRITICAL, "a stored token, password or history", ("T1552.001", "T1552.003", "AML.T0055")),
    Rule("environment-file", _READ, r"(?:^|/)\.env(?:rc|\.[\w.-]+)?$",
         _CRITICAL, "an environment file, where secrets are kept", ("T1552.001", "AML.T0055")),
    Rule("named-secret", _READ, r"(?i)(?:^|/)[^/]*(?:credential|secret|passw(?:or)?d|private[_-]?key|(?<![a-z])(?:api|access)[_-]?key)[^/]*$|(?i:(?:^|/)(?:[\w.-]*[_.-])?token(?:\.(?:txt|json|ya?ml|toml|ini|cfg|dat|db))?$|(?:access|refresh|auth|api|hf|bearer)[_-]?tokens?[^/]*$)",
         _CRITICAL, "a file whose name says it holds a secret", ("T1552.001", "AML.T0055")),
    Rule("password-store", _READ, r"^/etc/(?:shadow|gshadow|sudoers|krb5\.keytab|master\.passwd|security/opasswd)(?:-|$|\.d/|/)|^/etc/.*\.keytab$|/(?:logins\.json|key4\.db|Login Data|Cookies)$",
         _CRITICAL, "a store of passwords", ("T1003.008", "AML.T0055")),
    Rule("process-memory", _READ, r"^/proc/(?:\d+|<pid>)/(?:environ|mem|maps|auxv|root|cwd|fd/|task/[^/]+/(?:environ|mem|root))|^/proc/(?:self|<self>)/mem$|^/proc/kcore$|^/dev/(?:mem|kmem|port)$|^/proc/kallsyms$",
         _CRITICAL, "memory or environment of a process", ("T1003.007", "AML.T0055")),
    Rule("block-device", _READ, r"^/dev/(?:sd[a-z]|nvme\d|vd[a-z]|xvd[a-z]|dm-\d|loop\d|mapper/)",
         _CRITICAL, "a raw disk, below every file permission", ("T1006",)),
)

_PERSISTENCE: Final = (
    Rule("scheduled-task", _WRITE, r"^/etc/(?:cron[^/]*|anacrontab|at\.(?:allow|deny))(?:/|$)|^/var/spool/(?:cron|at)/",
         _CRITICAL, "a scheduled task: it would survive a restart", ("T1053.003",)),
    Rule("service-unit", _WRITE, r"/systemd/(?:system|user)[^/]*/|^/etc/(?:init\.d|rc\.local|rc\d?\.d|inittab|xinetd\.d|supervisor)(?:/|$)|\.(?:service|timer)$",
         _CRITICAL, "a system service: it would survive a restart", ("T1543.002",)),
    Rule("login-access", _WRITE, r"/authorized_keys\d?$|/\.ssh/|^/etc/(?:passwd|group|shadow|sudoers|ssh/|pam\.d/|security/)",
         _CRITICAL, "a way to log in", ("T1098.004", "T1136")),
    Rule("shell-startup", _WRITE, r"/\.(?:bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|kshrc|cshrc|login|xprofile|config/fish/|config/autostart/)|^/etc/(?:profile|bash\.bashrc|environment|zsh/|motd|update-motd\.d)",
         _CRITICAL, "a file that runs at every login", ("T1546.004",)),
    Rule("interpreter-startup", _WRITE, r"\.pth$|/(?:site|user)customize\.py$|/PYTHONSTARTUP|/\.pythonrc",
         _CRITICAL, "a file that runs at every start of Python", ("T1546.018", "AML.T0011.001")),
    Rule("preload", _WRITE, r"^/etc/ld\.so\.|/ld\.so\.preload$",
         _CRITICAL, "a list of libraries loaded into every program", ("T1574.006",)),
    Rule("kernel-hook", _WRITE, r"^/etc/(?:udev|modprobe\.d|modules|modules-load\.d|initramfs-tools|dkms|kernel)(?:/|$)|^/lib/(?:udev|modules)/|^/usr/lib/(?:udev|modules|dracut)/|^/boot/|^/proc/sys/kernel/|/release_agent$|^/sys/kernel/|/uevent_helper$|^/sys/fs/cgroup/.*release_agent",
         _CRITICAL, "a way into the kernel or out of a container", ("T1547.006", "T1611", "AML.T0105")),
    Rule("program-replaced", _WRITE, r"^/(?:usr/(?:local/)?)?s?bin/|^/(?:usr/(?:local/)?)?lib(?:32|64|x32)?/(?!python[^/]*/(?:site|dist)-packages/.*__pycache__|.*/__pycache__/)|^/etc/alternatives/",
         _HIGH, "an installed program or library", ("T1554", "T1574")),
    Rule("name-resolution", _WRITE, r"^/etc/(?:hosts|resolv\.conf|nsswitch\.conf|apt/|hosts\.allow|hosts\.deny)",
         _HIGH, "the host's name resolution or package sources", ("T1565.001",)),
)

_PEERS: Final = (
    Rule("metadata-service", _PEER, r"(?:^| )\[?(?:169\.254\.169\.254|169\.254\.170\.2|169\.254\.170\.23|100\.100\.100\.200|168\.63\.129\.16|fd00:ec2::254|fd20:ce::254|192\.0\.0\.192|metadata\.google\.internal)\]?(?::\d+)?$",
         _CRITICAL, "the cloud's metadata service, which hands out credentials",
         ("T1552.005", "AML.T0049")),
    Rule("runtime-socket", _PEER, r"(?:docker|containerd|crio|podman|buildkitd|cri-dockerd|kubelet|dockershim)[\w.-]*\.sock",
         _CRITICAL, "the socket of a container runtime: whoever holds it owns the host",
         ("T1611", "AML.T0105")),
    Rule("system-bus", _PEER, r"unix .*(?:/dbus/system_bus_socket|/run/systemd/(?:private|machined)|/S\.gpg-agent|/ssh-[^/]+/agent\.\d+|/keyring/)",
         _HIGH, "a socket that commands the system or holds keys", ("T1559", "T1552.004")),
)

_LIBRARIES: Final = (
    Rule("volatile-library", _LIBRARY, r"^(?:/tmp|/var/tmp|/dev/shm|/run/shm)/|^/?memfd:| \(deleted\)$",
         _HIGH, "machine code from a place where code is dropped, not installed",
         ("T1574.006", "T1055", "AML.T0011.000")),
)


def _calls(names: str) -> str:
    return rf"^(?:{names})$"


_SYSCALLS: Final = (
    Rule("other-process", _SYSCALL, _calls("ptrace|process_vm_readv|process_vm_writev|pidfd_getfd|process_madvise|kcmp"),
         _CRITICAL, "reaching into another process", ("T1055.008", "T1003", "AML.T0090")),
    Rule("kernel-code", _SYSCALL, _calls("init_module|finit_module|delete_module|kexec_load|kexec_file_load|bpf|iopl|ioperm|create_module|syslog|reboot|swapon|swapoff|acct"),
         _CRITICAL, "changing the kernel", ("T1547.006", "T1014")),
    Rule("namespace", _SYSCALL, _calls("mount|umount2|move_mount|open_tree|fsopen|fsmount|fsconfig|mount_setattr|pivot_root|chroot|setns|unshare|open_by_handle_at|name_to_handle_at"),
         _CRITICAL, "leaving or changing its container", ("T1611", "AML.T0105")),
    Rule("privileges", _SYSCALL, _calls("setuid|setgid|setreuid|setregid|setresuid|setresgid|setfsuid|setfsgid|setgroups|capset|keyctl|add_key|request_key|sethostname|setdomainname|settimeofday|clock_settime|personality"),
         _HIGH, "changing its own privileges or the host's identity", ("T1548", "T1134")),
    Rule("exploit-helper", _SYSCALL, _calls("userfaultfd|perf_event_open|vmsplice|add_key|fanotify_init|quotactl|lookup_dcookie|modify_ldt|uselib|vm86|vm86old|pkey_mprotect"),
         _HIGH, "a call used by exploits and seldom by servers", ("T1068",)),
    Rule("hidden-work", _SYSCALL, _calls("memfd_create|memfd_secret|io_uring_setup|io_uring_register|execveat"),
         Level.MEDIUM, "a call that can hide files or input and output", ("T1620", "T1564")),
)

PUBLIC: Final = (
    r"/(?:site|dist)-packages/.*\.(?:py|pyc|pyi|so|json|txt|typed)$",
    r"/certifi/cacert\.pem$",
    r"^/etc/ssl/certs/|^/usr/(?:share|lib)/(?:ca-certificates|ssl)/|^/etc/ssl/openssl\.cnf$",
    r"^/(?:usr/)?lib/python[0-9.]+/.*\.(?:py|pyc)$",
    r"/__pycache__/[^/]+\.pyc(?:\.\d+)?$",
)
"""Files that only sound secret: installed code, and certificates anybody may read. Reading only;
no write is excused by it."""

RULES: Final[tuple[Rule, ...]] = (
    _PROGRAMS + _PERSISTENCE + _SECRETS + _PEERS + _LIBRARIES + _SYSCALLS
)
"""Tried in this order; the first that fits names the class."""


@dataclass(frozen=True, slots=True)
class MarkRule:
    """A mark of the kernel that is dangerous with a kind of item.

    Fields mean the same as in `Rule`.
    """

    name: str
    kinds: frozenset[ItemKind]
    mark: str
    level: Level
    reason: str
    techniques: tuple[str, ...]
    invariant: bool = False


MARK_RULES: Final[tuple[MarkRule, ...]] = (
    MarkRule("socket-shell", _EXEC, "stdio-socket", _CRITICAL,
             "a program whose input or output is a network connection: a remote shell",
             ("T1059.004", "T1071", "AML.T0072")),
    MarkRule("memory-program", _EXEC, "memfd", _CRITICAL,
             "a program that exists in memory only", ("T1620", "AML.T0050"), invariant=True),
    MarkRule("deleted-program", _EXEC, "deleted", _CRITICAL,
             "a program whose file was deleted", ("T1070.004", "T1036"), invariant=True),
    MarkRule("memory-library", _LIBRARY, "memfd", _HIGH,
             "machine code that exists in memory only", ("T1620", "T1055")),
    MarkRule("deleted-library", _LIBRARY, "deleted", _HIGH,
             "machine code whose file was deleted", ("T1070.004", "T1574.006")),
    MarkRule("foreign-call", frozenset(ItemKind), "foreign", _HIGH,
             "a call through the 32-bit entry, which hides its number", ("T1562",)),
)
