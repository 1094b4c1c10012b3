import four_factors
import pytest
from constructed_studies import GRID, HEAD, STEPS, WITH_INVERSION, write_study

from sklenet.study.report.results import Results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    write_study(folder, four_factors.STUDY, HEAD.format(steps="") + GRID)
    text = HEAD.format(steps=STEPS) + WITH_INVERSION
    write_study(folder, four_factors.INVERSION, text)
    return folder


@pytest.fixture
def results(folder):
    return Results(folder / four_factors.STUDY)


@pytest.fixture
def inversion(folder):
    return Results(folder / four_factors.INVERSION)
