"""Feature networks behind one interface, each with a pinned source of weights."""
