"""The service: the engine that decides on every label as it comes in."""
