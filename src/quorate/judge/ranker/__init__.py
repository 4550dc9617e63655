"""A ranker: trees that order the documents of a query as a judge, a consensus or people grade them."""
