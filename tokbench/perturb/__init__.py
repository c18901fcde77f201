"""Perturbation of codes between `encode` and `decode`, as views: what pFID and its relatives are made of."""
