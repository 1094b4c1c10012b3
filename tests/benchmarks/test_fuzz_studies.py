"""Mutated study files and journals lead to messages, never to tracebacks."""

import random

import pytest
from fuzz_studies import make_journal_input, make_study_input, try_journal, try_study


@pytest.mark.parametrize("seed", range(5))
def test_mutated_study_files(seed, tmp_path):
    rng = random.Random(seed)
    codes = [try_study(make_study_input(rng), tmp_path)[0] for _ in range(30)]
    assert 2 in codes


@pytest.mark.parametrize("seed", range(5))
def test_mutated_journals(seed, tmp_path):
    rng = random.Random(seed)
    codes = [
        try_journal(make_journal_input(rng), tmp_path, with_figures=False)[0]
        for _ in range(20)
    ]
    assert 2 in codes


def test_mutated_journal_with_figures(tmp_path):
    code, text = try_journal(make_journal_input(random.Random(3)), tmp_path)
    assert code in (0, 1, 2)
    assert text
