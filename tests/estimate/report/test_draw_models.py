"""Drawings of what other commands found."""

from estimate.report.draw_models import perplexity_drawing
from estimate.report.svg import style


def test_a_long_name_leaves_room_for_the_drawing():
    row = {
        "model": "a model of mine " * 60,
        "stage": "teacher",
        "perplexity": 20.0,
        "ratio_to_teacher": 1.0,
    }
    with style():  # a warning of matplotlib's, which is an error here, says that there is none
        found = perplexity_drawing([row, row | {"model": "other"}])
    assert found.name == "perplexity"
