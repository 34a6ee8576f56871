"""Batches: accepted whole, run by lanes over all processes, closed when every item has ended."""
