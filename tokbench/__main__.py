"""`python -m tokbench`."""

from tokbench.cli.app import main

main()
