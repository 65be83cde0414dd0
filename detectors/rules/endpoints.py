"""Requests that change what a server is: models loaded, weights replaced, code run.

An item is a method and a path, without what follows `?`. Sources: the servers' own documentation,
as collectors/engines/*.toml name them by engine; a path means the same whoever serves it.
"""

from __future__ import annotations

from typing import Final

from detectors.assessment import Level
from detectors.rules.rule import ENDPOINT, Rule


def _called(methods: str, *paths: str) -> str:
    """Return the pattern of requests by method, `|` between several, and path's expression."""
    return rf"^(?:{methods}) /(?:.*/)?(?:" + "|".join(paths) + r")/?(?:…)?$"


def _rpc(*methods: str) -> str:
    """Return the pattern of gRPC's calls by method, of whatever service."""
    return r"^POST /\w+(?:\.\w+)+/(?:" + "|".join(methods) + r")(?:…)?$"


RULES: Final = (
    Rule(
        "runs-code",
        ENDPOINT,
        "|".join(
            (
                _called("POST", r"api/jobs", "collective_rpc", "update_weights[a-z_]*"),
                _called("POST", r"v2/repository/models/[^/]+(?:/versions/[^/]+)?/load"),
                _called("POST", r"(?:v1/)?load_lora_adapter", "init_weights_update_group"),
                _called("PUT", r"api/serve/applications", r"api/packages/.+"),
                _called("POST", r"api/create", r"api/pull"),
                r"^POST /models/?$",
                _rpc("RepositoryModelLoad", "RegisterModel", "HandleReloadConfigRequest"),
            )
        ),
        Level.HIGH,
        "a management call that loads code or weights",
        ("T1190", "AML.T0049", "AML.T0040"),
    ),
    Rule(
        "management-call",
        ENDPOINT,
        "|".join(
            (
                _called("POST", r"v2/repository/models/[^/]+(?:/versions/[^/]+)?/unload"),
                _called(
                    "POST", r"v2/(?:system|cuda)sharedmemory/.*", r"v2/(?:trace/setting|logging)"
                ),
                _called(
                    "POST", r"(?:v1/)?unload_lora_adapter", "sleep", "wake_?up", "lora-adapters"
                ),
                _called("POST", "reset_[a-z_]*cache", "flush_cache", "scale_elastic_ep", "pause"),
                _called("POST", "(?:release|resume)_memory_occupation", "set_internal_state"),
                _called("POST", r"slots/[^/]+", "props", "models/(?:load|unload)", "shutdown"),
                _called("POST", "destroy_weights_update_group", "distserve/(?:p2p_.+|free_cache)"),
                _called("GET", "terminate"),  # LMDeploy's
                _called("POST", "(?:start|stop)_profile", "configure_logging", "abort_request"),
                _called("POST", "api/(?:push|copy)", r"api/blobs/.+", r"api/jobs/[^/]+/stop"),
                _called("DELETE", r"api/(?:delete|jobs/.+|serve/applications/?)"),
                _called("PUT", r"models/[^/]+(?:/[^/]+)?(?:/set-default)?"),
                _called("DELETE", r"models/[^/]+(?:/[^/]+)?"),
                _rpc("RepositoryModelUnload", "(?:System|Cuda)SharedMemory(?:Unr|R)egister"),
                _rpc("TraceSetting", "LogSettings", "ScaleWorker", "SetDefault", "UnregisterModel"),
                r"^(?:POST|PUT|PATCH|DELETE) /(?:.*/)?(?:admin|manage|management|actuator)(?:/|$)",
                r"^(?:POST|PUT) /(?:.*/)?(?:reload|restart|config)/?$",
            )
        ),
        Level.HIGH,
        "a management call, which changes what the server is",
        ("T1190", "AML.T0049", "AML.T0040"),
    ),
    Rule(
        "debug-call",
        ENDPOINT,
        r"^GET /(?:.*/)?(?:slots|debug/pprof|actuator/(?:env|heapdump)|\.env|\.git)(?:/|$)",
        Level.MEDIUM,
        "a request for the inside of the server, prompts of others included",
        ("T1190", "AML.T0040"),
    ),
)
