"""What of a phase's swaps was measured: in the trace of one step, and by NVML over the whole phase.

Pure. Imports `base` and `record`.
"""
