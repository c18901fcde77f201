"""Tokenizers that run in an environment of their own, in a worker process spoken to over a pipe.

`frames`, `tensors` and `worker` are also run by the worker, whose Python and torch may be much older than tokbench's:
they use the standard library and torch alone, and no syntax newer than Python 3.9.
"""
