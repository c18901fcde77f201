"""A third party's package: proof that entry points work without tokbench knowing it."""
