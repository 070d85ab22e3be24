"""Parameters from JSON."""

import pytest

from providers.parameters import Parameters


def test_default_is_maximum_swapping():
    assert Parameters() == (1, 0, 1, 3)
    assert Parameters.from_json("{}") == Parameters()


def test_values_are_taken():
    text = '{"swapout_threshold": 40, "swapin_groupby": 2, "swapin_ahead": 3, "sync_mode": 0}'
    assert Parameters.from_json(text) == Parameters(40, 2, 3, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "JSON object"),
        ('{"threshold": 1}', "unknown LMS parameter 'threshold'"),
        ('{"swapout_threshold": 0}', "at least 1"),
        ('{"swapout_threshold": "1"}', "an integer"),
        ('{"swapout_threshold": true}', "an integer"),
        ('{"swapin_groupby": -1}', "at least 0"),
        ('{"swapin_ahead": 0}', "at least 1"),
        ('{"sync_mode": 4}', "at most 3"),
        ('{"sync_mode": 1.0}', "an integer"),
    ],
)
def test_bad_parameters_are_rejected_in_one_line(text, words):
    with pytest.raises(ValueError, match=words) as caught:
        Parameters.from_json(text)
    assert "\n" not in str(caught.value)


def test_constructor_checks_as_well():
    with pytest.raises(ValueError, match="sync_mode"):
        Parameters(sync_mode=-1)


@pytest.mark.parametrize(
    ("mode", "swapout", "swapin"),
    [(0, False, False), (1, True, False), (2, False, True), (3, True, True)],
)
def test_modes(mode, swapout, swapin):
    parameters = Parameters(sync_mode=mode)
    assert parameters.synchronous_swapout is swapout
    assert parameters.synchronous_swapin is swapin
