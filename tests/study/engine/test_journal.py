import json
import multiprocessing
import os
import resource
import signal
import threading

import pytest

from sklenet.study.engine.journal import Journal, JournalError


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "new" / "records.jsonl")


def test_records_come_back_in_order(journal):
    assert list(journal) == []
    records = [{"a": 1}, {"b": [0.1, None, "ü\n"]}]
    for record in records:
        journal.append(record)
    assert list(journal) == list(Journal(journal.path)) == records
    assert len(journal.path.read_text().splitlines()) == 2


def test_a_record_that_is_not_json_is_not_written(journal):
    with pytest.raises(ValueError, match="JSON"):
        journal.append({"a": float("nan")})
    assert list(journal) == []


def test_a_record_is_found_by_its_key(journal):
    assert journal.find("a") is None
    for key in ("ab", "a", "b"):
        journal.append({"key": key, "n": len(key)})
    assert journal.find("a") == {"key": "a", "n": 1}
    assert journal.find("c") is None
    journal.append({"key": "ab", "n": 9})
    assert journal.find("ab") == {"key": "ab", "n": 2}
    assert len(list(journal)) == 3


def test_records_of_other_processes_and_replaced_files_are_found(journal):
    journal.append({"key": "a"})
    assert journal.find("b") is None
    with journal.path.open("ab") as file:
        file.write(b'{"key": "b", "n": 1}\n{"key": "c"')
    assert journal.find("b") == {"key": "b", "n": 1}
    assert journal.find("c") is None
    assert journal.read_since(len('{"key": "a"}\n'))[0] == [{"key": "b", "n": 1}]
    journal.path.unlink()
    assert journal.find("a") is None
    journal.append({"key": "c"})
    assert journal.find("b") is None
    assert journal.find("c") == {"key": "c"}


def test_new_records_of_a_file_that_grows_or_is_replaced(journal):
    assert journal.read_new(0, b"") == ([], 0, b"")
    for k in range(300):  # more than 4096 bytes
        journal.append({"k": k, "text": "x" * 10})
    records, *place = journal.read_new(0, b"")
    assert [record["k"] for record in records] == list(range(300))
    assert journal.read_new(*place) == ([], *place)
    journal.append({"k": 300})
    records, *place = journal.read_new(*place)
    assert records == [{"k": 300}]
    # Where the old file ended is the middle of a line.
    other = [{"text": "y" * 9000}] * 2
    journal.path.write_text("".join(json.dumps(record) + "\n" for record in other))
    records, *place = journal.read_new(*place)
    assert records == other
    journal.path.unlink()
    assert journal.read_new(*place) == ([], 0, b"")


def test_a_reader_follows_a_file_that_is_replaced_all_the_time(journal):
    journal.append({"file": 0})
    done = threading.Event()

    def replace():
        for k in range(1, 2000):
            content = (json.dumps({"file": k, "text": "z" * (k % 50)}) + "\n") * (k % 3 + 1)
            new = journal.path.with_suffix(".new")
            new.write_text(content)
            new.replace(journal.path)
        done.set()

    thread = threading.Thread(target=replace)
    thread.start()
    place, last = (0, b""), None
    while True:
        is_last = done.is_set()
        records, *place = journal.read_new(*place)
        last = records[-1] if records else last
        if is_last:
            break
    thread.join()
    assert last == {"file": 1999, "text": "z" * 49}


@pytest.mark.parametrize(
    "rest",
    [b'{"key": "half', b'{"a": 1}', b"\0" * 50, b"\0\0\n", b'{"a":\n', b"[1]\n", b"\xff\n"],
)
def test_repair_drops_an_incomplete_last_line(journal, rest):
    journal.append({"a": 1})
    journal.append({"a": 2})
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + rest)
    assert journal.repair() == len(rest)
    assert journal.path.read_bytes() == whole
    assert journal.repair() == 0
    journal.append({"a": 3})
    assert list(journal) == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_an_incomplete_last_line_is_ignored_and_overwritten(journal):
    journal.append({"a": 1})
    with journal.path.open("ab") as file:
        file.write(b'{"a": 2')
    assert list(journal) == [{"a": 1}]
    with journal.path.open("ab") as file:
        file.write(b"\0\n")
    assert list(journal) == [{"a": 1}]
    journal.append({"a": 3})
    assert list(journal) == [{"a": 1}, {"a": 3}]


def test_complete_records_survive_any_truncation(journal):
    for n in range(3):
        journal.append({"n": n, "text": "x" * n})
    text = journal.path.read_bytes()
    for length in range(len(text) + 1):
        journal.path.write_bytes(text[:length])
        journal.repair()
        assert list(journal) == [
            {"n": n, "text": "x" * n} for n in range(text[:length].count(b"\n"))
        ]


def test_a_damaged_line_is_an_error_with_its_number(journal):
    for n in range(3):
        journal.append({"n": n})
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(lines[0] + b"{?}\n" + lines[2])
    for read in (list, Journal.repair, lambda journal: journal.append({"n": 3})):
        with pytest.raises(JournalError, match=r"records\.jsonl:2: not a record"):
            read(journal)


def _write_many(path, writer):
    for n in range(50):
        Journal(path).append({"writer": writer, "n": n, "text": "x" * 5000})


def test_lines_of_parallel_processes_are_not_mixed(journal):
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=_write_many, args=(journal.path, k)) for k in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = list(journal)
    assert len(records) == 200
    for k in range(4):
        assert [r["n"] for r in records if r["writer"] == k] == list(range(50))


def _fill(path, limit):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        while True:
            Journal(path).append({"text": "x" * 100})
    except OSError:
        os._exit(7)


@pytest.mark.parametrize("limit", [500, 537, 560])
def test_a_full_disk_leaves_complete_records(journal, limit):
    journal.append({"first": True})
    process = multiprocessing.get_context("fork").Process(
        target=_fill, args=(journal.path, limit)
    )
    process.start()
    process.join()
    assert process.exitcode == 7
    text = journal.path.read_bytes()
    assert text.endswith(b"\n")
    assert [json.loads(line) for line in text.splitlines()][1:] == [{"text": "x" * 100}] * 4
    assert journal.repair() == 0
