"""Active learning: which items a person should see first."""
