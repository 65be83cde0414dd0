"""Peers that hand out power, and places code should not come from."""

from __future__ import annotations

from typing import Final

from detectors.assessment import Level
from detectors.rules.rule import LIBRARY, PEER, SYSCALL, Rule

RULES: Final = (
    Rule(
        "metadata-service",
        PEER,
        (
            r"(?:^| )\[?(?:169\.254\.169\.254|169\.254\.170\.2|169\.254\.170\.23|"
            r"100\.100\.100\.200|168\.63\.129\.16|fd00:ec2::254|fd20:ce::254|"
            r"192\.0\.0\.192|metadata\.google\.internal)\]?(?::\d+)?$"
        ),
        Level.CRITICAL,
        "the cloud's metadata service, which hands out credentials",
        ("T1552.005", "AML.T0049"),
    ),
    Rule(
        "runtime-socket",
        PEER,
        (
            "(?:docker|containerd|crio|podman|buildkitd|cri-dockerd|kubelet|"
            r"dockershim)[\w.-]*\.sock"
        ),
        Level.CRITICAL,
        "the socket of a container runtime: whoever holds it owns the host",
        ("T1611", "AML.T0105"),
    ),
    Rule(
        "system-bus",
        PEER,
        (
            "unix .*(?:/dbus/system_bus_socket|/run/systemd/(?:private|machined)|"
            r"/S\.gpg-agent|/ssh-[^/]+/agent\.\d+|/keyring/)"
        ),
        Level.HIGH,
        "a socket that commands the system or holds keys",
        ("T1559", "T1552.004"),
    ),
    Rule(
        "raw-socket",
        SYSCALL,
        r"^socket (?:packet|xdp|bluetooth|can|inet6? raw)(?: |$)",
        Level.HIGH,
        "a socket below every protocol, which reads or forges other programs' packets",
        ("T1040", "T1095"),
    ),
    Rule(
        "kernel-socket",
        SYSCALL,
        (
            r"^socket (?:alg|rds|tipc|key|smc|family-\d+)(?: |$)|"
            r"^socket netlink (?:netfilter|xfrm|audit|crypto|selinux)$|"
            r"^(?:foreign )?ioctl (?:add|delete|set)-(?:route|interface|hardware|arp)"
        ),
        Level.HIGH,
        "what changes the host's network or serves exploits, and seldom a server",
        ("T1562.004", "T1068"),
    ),
    Rule(
        "volatile-library",
        LIBRARY,
        r"^(?:/tmp|/var/tmp|/dev/shm|/run/shm)/|^/?memfd:| \(deleted\)$",
        Level.HIGH,
        "machine code from a place where code is dropped, not installed",
        ("T1574.006", "T1055", "AML.T0011.000"),
    ),
)
