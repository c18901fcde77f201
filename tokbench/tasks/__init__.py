"""Evaluation tasks: one short declaration each. No task decodes, resizes or extracts for itself."""
