"""The overhead profiler: counts and times of a machine, attributed to its costs; tables and figures of them."""
