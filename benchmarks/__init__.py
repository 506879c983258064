"""The benchmarks: each figure of ours, that of a peer and a physical limit, measured in one run."""
