"""The command line: one file a verb, each a thin coat over the library."""
