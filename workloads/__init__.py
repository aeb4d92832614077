"""The four training workloads and their vendored data. They never import the harness (`suite`)."""
