"""The meter of torch on a profiler's events made by hand."""

from __future__ import annotations

from types import SimpleNamespace

from meters import torch_allocator


def test_copies_of_a_gpu_are_those_of_pinned_memory() -> None:
    def event(name: str, size: int) -> SimpleNamespace:
        return SimpleNamespace(name=lambda: name, metadata_json=lambda: f'"bytes": {size}, "x": 1')

    events = [
        event("Memcpy HtoD (Pageable -> Device)", 1),
        event("Memcpy DtoH (Device -> Pinned)", 20),
        event("Memcpy DtoH (Device -> Pinned)", 30),
        event("Memcpy HtoD (Pinned -> Device)", 20),
        event("aten::relu", 7),
    ]
    assert torch_allocator.copies(events) == (2, 1, 50, 20)
    assert set(torch_allocator.copies([event("aten::relu", 7)])) == {None}
