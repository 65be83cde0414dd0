"""What a call that does many things was asked for, in words: `prctl set-mm`."""

from typing import Final

IOCTL: Final = 16
PRCTL: Final = 157

_WORDS: Final = {
    IOCTL: {  # include/uapi/asm-generic/ioctls.h, include/uapi/linux/sockios.h
        0x5412: "type-on-terminal", 0x890B: "add-route", 0x890C: "delete-route",
        0x8914: "set-interface-flags", 0x8916: "set-interface-address",
        0x8924: "set-hardware-address", 0x8953: "delete-arp", 0x8955: "set-arp",
    },
    PRCTL: {  # include/uapi/linux/prctl.h
        4: "set-dumpable", 8: "set-keepcaps", 28: "set-securebits", 35: "set-mm",
        47: "ambient-capabilities", 0x59616D61: "set-ptracer",
    },
}  # fmt: skip
_NAMES: Final = {IOCTL: "ioctl", PRCTL: "prctl"}


def asked_words(number: int, choice: int) -> str:
    """Name what was asked for.

    Args:
        number: `IOCTL` or `PRCTL`.
        choice: The request, or the option; one without a name keeps its number.
    """
    return f"{_NAMES[number]} {_WORDS[number].get(choice, hex(choice))}"
