"""When to stop asking: what a consensus must say before no further label is bought."""
