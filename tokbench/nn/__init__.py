"""Building blocks of the tokenizers that tokbench carries itself. Every module here imports torch."""
