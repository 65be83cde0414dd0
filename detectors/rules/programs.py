"""Programs no model server runs in its steady state."""

from __future__ import annotations

from typing import Final

from detectors.assessment import Level
from detectors.rules.rule import EXEC, Rule, named

RULES: Final = (
    Rule(
        "volatile-program",
        EXEC,
        (
            "^(?:/tmp|/var/tmp|/dev/shm|/run/shm|/dev/mqueue)/|^memfd:|^/memfd:|"
            r"/proc/\S+/fd/"
        ),
        Level.CRITICAL,
        "a program run from a place where programs are dropped, not installed",
        ("T1059", "T1036.005", "AML.T0050", "AML.T0074"),
    ),
    Rule(
        "shell",
        EXEC,
        named(
            "(?:r|l|da|ba|z|k|mk|pdk|c|tc|fi|a|ya|pw|x?on|nu|el|dt)?sh(?:[0-9.]*) "
            "busybox toybox rbash"
        ),
        Level.CRITICAL,
        "a shell, the usual first step after taking over a server",
        ("T1059.004", "AML.T0050"),
    ),
    Rule(
        "interpreter",
        EXEC,
        named(
            "(?:perl|ruby|php|lua(?:jit)?|tclsh|expect|node|nodejs|deno|bun|gawk|mawk|awk|Rscript|julia|osascript)[0-9.]*"
        ),
        Level.CRITICAL,
        "an interpreter that can run any script",
        ("T1059", "AML.T0050"),
    ),
    Rule(
        "network-tool",
        EXEC,
        named(
            r"(?:nc|ncat|netcat|nc\.openbsd|nc\.traditional|socat|curl|wget|wget2|aria2c|ftp|lftp|tftp|telnet|ssh|scp|sftp|rsync|rclone|nmap|masscan|zmap|tcpdump|tshark|dig|nslookup|host|chisel|frpc|ngrok|cloudflared|tor|torsocks|proxychains4?|openssl|gsocket|gs-netcat|iodine|dnscat2?)"
        ),
        Level.CRITICAL,
        "a tool that moves data or opens remote access",
        ("T1105", "T1071", "AML.T0072"),
    ),
    Rule(
        "account-tool",
        EXEC,
        named(
            "sudo su doas pkexec passwd chpasswd useradd usermod crontab at "
            "systemctl insmod modprobe mount nsenter unshare chroot runc docker "
            "kubectl gdb strace iptables nft chattr setcap"
        ),
        Level.CRITICAL,
        "a tool that changes accounts, services, the kernel or another process",
        ("T1548", "T1543", "AML.T0050"),
    ),
    Rule(
        "discovery-tool",
        EXEC,
        named(
            "id whoami uname hostname ifconfig ip ss netstat ps w who lsof env "
            "printenv find grep cat ls base64 xxd tar zip gzip 7z dd xmrig "
            "xmr-stak cpuminer minerd ethminer t-rex lolMiner"
        ),
        Level.CRITICAL,
        "a tool for looking around, packing or mining, which a server has no need to run",
        ("T1082", "T1083", "AML.T0050"),
    ),
    Rule(
        "compiler",
        EXEC,
        named(
            r"(?:x86_64-linux-gnu-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|cc1|cc1plus|as|ld|ld\.\w+|collect2|tcc|rustc|go|nvcc|ptxas|cicc|make|cmake|ninja)(?:-[0-9.]+)?"
        ),
        Level.HIGH,
        "a compiler, in a server that did not compile while it was learnt",
        ("T1027.004",),
    ),
)
