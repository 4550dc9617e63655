"""Confidence that can be trusted: logits to scores, calibrators, whose labels to fit them on."""
