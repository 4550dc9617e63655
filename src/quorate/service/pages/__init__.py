"""The service's pages: plain HTML that works by itself, made quick by small scripts of our own."""
