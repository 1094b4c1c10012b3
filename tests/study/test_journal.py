import pytest

from sklenet.study.journal import Journal


def test_records_come_back_in_order(tmp_path):
    journal = Journal(tmp_path / "new" / "records.jsonl")
    journal.clear()
    records = [{"a": 1}, {"b": [0.1, None, "ü\n"]}]
    for record in records:
        journal.append(record)
    assert list(journal) == list(Journal(journal.path)) == records
    assert len(journal.path.read_text().splitlines()) == 2
    journal.clear()
    assert list(journal) == []


def test_what_is_not_json_leaves_no_trace(tmp_path):
    journal = Journal(tmp_path / "records.jsonl")
    journal.clear()
    with pytest.raises(ValueError, match="JSON"):
        journal.append({"a": float("nan")})
    assert list(journal) == []
