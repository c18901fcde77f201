"""A module without a header: listed as broken."""
