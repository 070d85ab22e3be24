"""Claims about an artifact that no digest can show: what a document says has to be so."""

from . import marker


def state(text, expected, found):
    """Marks a claim with what it expects and what was found; the harness compares the two.

    text: the claim in words, the same in every run. expected, found: JSON scalars.
    """
    print("{}: {!r}, expected {!r}".format(text, found, expected))
    marker.emit("claim", text=text, expected=expected, found=found)
