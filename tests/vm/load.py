"""The object built elsewhere loads, attaches, pins and adopts under the booted kernel."""

from pathlib import Path

from probes.loader import Sensor, probe_capabilities, remove

PINS = Path("/sys/fs/bpf/inferward-load")


def main() -> None:
    """Print what was attached and what this kernel offers."""
    sensor = Sensor.open(PINS)
    try:
        print(f"adopted {sensor.adopt()}")
        print("attached", *sorted(sensor.links()))
    finally:
        sensor.close()
        remove(PINS)
    for capability in probe_capabilities():
        print(capability)


if __name__ == "__main__":
    main()
