"""A judge: a language model that people's grades have taught, let through a gate, and watched by anchors."""
