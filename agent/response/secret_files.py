"""Where this host keeps secrets: what a contained workload may not open.

By place, since the kernel knows files by inode: a directory stands for all below it. The rules
in `detectors.rules` judge by name, wherever a file lies; this list is shorter than theirs.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

OF_THE_HOST: Final = (
    "etc/shadow",
    "etc/shadow-",
    "etc/gshadow",
    "etc/gshadow-",
    "etc/sudoers",
    "etc/sudoers.d",
    "etc/krb5.keytab",
    "etc/ssl/private",
    "etc/pki/tls/private",
    "etc/kubernetes",
    "etc/rancher",
    "etc/inferward",
    "run/secrets",
    "run/docker.sock",
    "var/lib/inferward",
)
_STORES: Final = ("run/containerd", "var/lib/kubelet")
_HOST_KEYS: Final = "etc/ssh/ssh_host_*_key"

OF_A_HOME: Final = (
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".oci",
    ".config/gcloud",
    ".config/gh",
    ".config/hub",
    ".config/rclone",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".pgpass",
    ".my.cnf",
    ".vault-token",
    ".huggingface",
    ".cache/huggingface/token",
    ".cache/huggingface/stored_tokens",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".psql_history",
)


def runtime_stores(root: Path = Path("/")) -> Iterator[str]:
    """Yield where container runtimes keep secrets, and beside them what containers work with."""
    yield from (str(root / place) for place in _STORES)


def secret_files(homes: Iterable[Path], root: Path = Path("/")) -> Iterator[str]:
    """Yield where secrets lie if there are any; most places do not exist on a given host.

    Args:
        homes: Home directories, as `pwd.getpwall` names them.
        root: Of the host.
    """
    yield from (str(root / place) for place in OF_THE_HOST)
    yield from map(str, sorted(root.glob(_HOST_KEYS)))
    # A daemon's home is often /, whose `.ssh` nobody reads; its places cost nothing.
    yield from (str(home / place) for home in sorted(set(homes)) for place in OF_A_HOME)
