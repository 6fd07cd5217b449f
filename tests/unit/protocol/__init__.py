"""A model of "copy before 250": every interleaving of a few servers, messages and faults is visited and judged."""
