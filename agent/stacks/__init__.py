"""From where a deviating call came: user stacks caught by the kernel, named in a worker."""
