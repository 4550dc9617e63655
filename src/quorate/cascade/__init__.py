"""Cascades: which model to call first, when its answer stands, and whom to ask when it does not [hovsepian2024]."""
