"""Files that hold secrets, wherever they lie."""

from __future__ import annotations

from typing import Final

from detectors.assessment import Level
from detectors.rules.rule import OPEN, Rule
from detectors.window import ItemKind

RULES: Final = (
    Rule(
        "private-key",
        OPEN,
        (
            r"/\.ssh(?:/|$)|\.(?:pem|key|p12|pfx|ppk|jks|keystore|kdbx|asc|gpg)$|"
            r"/\.gnupg(?:/|$)|/etc/ssh/ssh_host_|(?:^|/)id_(?:rsa|dsa|ecdsa|"
            "ed25519)[^/]*$|/etc/(?:ssl|pki)/private/"
        ),
        Level.CRITICAL,
        "a private key",
        ("T1552.004", "AML.T0055"),
    ),
    Rule(
        "cloud-credentials",
        OPEN,
        (
            r"/\.(?:aws|azure|kube|docker|oci|boto|s3cfg|config/gcloud|config/gh|"
            r"config/rclone|config/hub)(?:/|$)|/\.config/(?:gcloud|gh|rclone|hub|"
            "azure|doctl)(?:/|$)|application_default_credentials"
        ),
        Level.CRITICAL,
        "credentials of a cloud account",
        ("T1552.001", "AML.T0055"),
    ),
    Rule(
        "service-account",
        OPEN,
        (
            r"/secrets/kubernetes\.io/|/run/secrets/|/etc/kubernetes/|"
            "/var/lib/kubelet/|/etc/rancher/"
        ),
        Level.CRITICAL,
        "the token of a service account",
        ("T1552.001", "T1528", "AML.T0055"),
    ),
    Rule(
        "hub-token",
        OPEN,
        (
            r"/(?:\.cache/)?huggingface/(?:token|stored_tokens)$|/\.huggingface/|"
            r"/\.(?:netrc|npmrc|pypirc|git-credentials|pgpass|my\.cnf|vault-token|"
            "bash_history|zsh_history|python_history|psql_history|wandb|"
            "kaggle)(?:/|$)"
        ),
        Level.CRITICAL,
        "a stored token, password or history",
        ("T1552.001", "T1552.003", "AML.T0055"),
    ),
    Rule(
        "environment-file",
        OPEN,
        r"(?:^|/)\.env(?:rc|\.[\w.-]+)?$",
        Level.CRITICAL,
        "an environment file, where secrets are kept",
        ("T1552.001", "AML.T0055"),
    ),
    Rule(
        "named-secret",
        OPEN,
        (
            "(?i)(?:^|/)[^/]*(?:credential|secret|passw(?:or)?d|private[_-]?key|"
            "(?<![a-z])(?:api|access)[_-]?key)[^/]*$|(?i:(?:^|"
            r"/)(?:[\w.-]*[_.-])?token(?:\.(?:txt|json|ya?ml|toml|ini|cfg|dat|"
            "db))?$|(?:access|refresh|auth|api|hf|bearer)[_-]?tokens?[^/]*$)"
        ),
        Level.CRITICAL,
        "a file whose name says it holds a secret",
        ("T1552.001", "AML.T0055"),
    ),
    Rule(
        "password-store",
        OPEN,
        (
            r"^/etc/(?:shadow|gshadow|sudoers|krb5\.keytab|master\.passwd|"
            r"security/opasswd)(?:-|$|\.d/|/)|^/etc/.*\.keytab$|/(?:logins\.json|"
            r"key4\.db|Login Data|Cookies)$"
        ),
        Level.CRITICAL,
        "a store of passwords",
        ("T1003.008", "AML.T0055"),
    ),
    Rule(
        "process-memory",
        OPEN,
        (
            r"^/proc/(?:\d+|<pid>)/(?:environ|mem|maps|auxv|root|cwd|fd/|"
            "task/[^/]+/(?:environ|mem|root))|^/proc/(?:self|<self>)/mem$|"
            "^/proc/kcore$|^/dev/(?:mem|kmem|port)$|^/proc/kallsyms$"
        ),
        Level.CRITICAL,
        "memory or environment of a process",
        ("T1003.007", "AML.T0055"),
    ),
    Rule(
        # Owners and workers open these for reading and writing; to look only is a stranger's way.
        "foreign-shared-memory",
        frozenset({ItemKind.FILE}),
        r"^/dev/shm/(?:triton_python_backend_shm_region_|pytrtion|psm_|vllm)",
        Level.HIGH,
        "the shared memory between a server's processes, opened only to be read",
        ("T1559", "AML.T0049"),
    ),
    Rule(
        "gpu-device",
        OPEN,
        r"^/dev/(?:nvidia(?:\d+|-uvm|-caps/.*)|kfd|dri/renderD\d+|accel\d*(?:/.*)?)$",
        Level.HIGH,
        "a GPU, which it did not use while it was learned",
        ("T1496.001", "AML.T0048.000"),
    ),
    Rule(
        "block-device",
        OPEN,
        r"^/dev/(?:sd[a-z]|nvme\d|vd[a-z]|xvd[a-z]|dm-\d|loop\d|mapper/)",
        Level.CRITICAL,
        "a raw disk, below every file permission",
        ("T1006",),
    ),
)
