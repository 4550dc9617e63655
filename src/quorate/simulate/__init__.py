"""Data whose truth is known: simulated worlds with their limit, and the digits of the demonstration."""
