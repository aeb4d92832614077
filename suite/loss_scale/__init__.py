"""Which loss scale fits a workload, and what happens without one: `ampmark scan-scale` and `ampmark demo underflow`."""
