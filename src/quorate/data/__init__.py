"""Tables in, codes out."""
