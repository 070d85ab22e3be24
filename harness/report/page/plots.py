"""Timelines as data for the plots of a page."""

from __future__ import annotations

from typing import Any

from harness.report.timeline.model import Timeline


def data(timelines: list[Timeline]) -> list[dict[str, Any]]:
    """Returns what the page's script draws, as JSON values."""
    return [timeline.model_dump(mode="json", exclude={"largest"}) for timeline in timelines]
