"""What runs in the kernel, its one schema, and the loader."""
