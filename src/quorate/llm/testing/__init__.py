"""A pretended language model server for trying and testing without a key: real sockets, scripted answers and faults."""
