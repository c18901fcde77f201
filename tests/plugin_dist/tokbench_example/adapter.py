# /// script
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# kind = "codec"
# vocab = 256
# license = "Apache-2.0"
# source = "tests"
#
# [[tool.tokbench.tokenizers]]
# name = "example-negative"
# description = "stores the negative"
# ///
"""A tokenizer from another distribution."""

from tokbench import Codes


class Negative:
    def __init__(self, spec):
        self.spec = spec

    def encode(self, images):
        return Codes(ids=255 - (images * 255).round().long())

    def decode(self, codes):
        return 1 - codes.ids / 255


def build(spec, *, device, dtype, weights):
    return Negative(spec)
