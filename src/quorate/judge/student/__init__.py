"""A student: a small text model, taught by what a judge, a consensus or people say."""
