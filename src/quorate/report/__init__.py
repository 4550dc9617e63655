"""One page that says what a campaign saved, how far it can be trusted, and where to look."""
