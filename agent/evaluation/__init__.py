"""Measures the product's own detectors on given data: traces as text, and our recordings."""
