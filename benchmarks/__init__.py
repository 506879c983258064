"""The benchmarks: each of our figures beside a peer and a physical limit, from one run."""
