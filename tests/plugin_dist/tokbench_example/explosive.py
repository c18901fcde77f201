# /// script
# [[tool.tokbench.tokenizers]]
# name = "example-explosive"
# kind = "codec"
# ///
"""Raises when imported: fails only when asked for."""

raise RuntimeError("imported although nobody asked")
