"""The names of the strategies, and what each needs of the items."""

from __future__ import annotations

HYBRID, INFORMATION, RANDOM, WORTH = "hybrid", "information", "random", "worth"
BY_SCORE = ("least-confidence", "margin", "entropy", "vote-entropy", "jensen-shannon", "gradient-length", WORTH)
BY_BATCH = (RANDOM, "core-set", "k-means++", "badge")
STRATEGIES = (HYBRID, *BY_SCORE, *BY_BATCH)  # information is a worth, told by the consensus
NO_ROWS = frozenset({*BY_SCORE, INFORMATION, RANDOM}) - {"gradient-length"}
NO_PROBS = frozenset({RANDOM, "core-set", "k-means++", INFORMATION})
