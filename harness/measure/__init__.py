"""What is measured from the host beside a phase: NVML, /proc, cgroups; the lease on a GPU.

Imports `base`.
"""
