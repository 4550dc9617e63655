"""Language models as labelers: what is asked, at what price, how fast, and what was answered."""
