"""Model files from the operator's side: scanned, approved, verified, and who touched them when."""
