"""Host-side sources: kernel records and counters, processes, cgroups, memory, GPU."""
