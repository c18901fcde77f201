"""`tokbench report`: results as one HTML file that works from disk."""
