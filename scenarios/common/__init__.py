"""What every phase needs: its contract with the harness, the runtime, data, markers, digests.

It may import: `frameworks`. It imports nothing that swaps or measures.
"""
