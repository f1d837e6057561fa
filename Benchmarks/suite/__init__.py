# SPDX-License-Identifier: Apache-2.0
"""The benchmark suite behind `make bench`. Start reading in ../run."""


class BenchError(Exception):
    """Something could not be measured; the text says why and what to do."""
