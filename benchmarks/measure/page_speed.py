"""Measure how quickly the page to draw on answers a stroke, in a real Chromium.

    python benchmarks/measure/page_speed.py

draws 200 strokes by real pointer events on a page with the network of
``load_pretrained("mnist")``, and on one with the 1998 network next to it, and records the
milliseconds from the last pointer event of each stroke to the probabilities, and those of
them that the page computes; the rest is the browser's wait for the next frame. It takes
about half a minute.
"""

import tempfile
from pathlib import Path

import numpy as np
from browser import Browser

from sklenet import load_pretrained
from sklenet.page import write_page
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import collect_provenance

RECORDS = Path(__file__).parents[2] / "benchmarks/results/page_speed/records.jsonl"
N_STROKES = 200
STROKES_PER_DRAWING = 3
PAGES = {"one network": ["mnist"], "two networks": ["mnist", "lecun1998"]}

# Times of each update: that of the last pointer event, and those of its start and end.
LISTEN = """(() => {
  window.times = [];
  let event = null;
  for (const name of ["pointerdown", "pointermove"]) {
    addEventListener(name, ({ timeStamp }) => (event = timeStamp), true);
  }
  const update = page.update.bind(page);
  page.update = () => {
    const start = performance.now();
    update();
    window.times.push([event, start, performance.now()]);
  };
})()"""


def measure(browser: Browser, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the milliseconds from each stroke to the probabilities, and of computing."""
    rng = np.random.default_rng(0)
    browser.open(path)
    browser.evaluate(LISTEN)
    answers = []
    for k in range(N_STROKES):
        if k % STROKES_PER_DRAWING == 0:
            browser.evaluate("page.clear()")
        steps = rng.normal(0, 0.12, (8, 2)).cumsum(axis=0) + rng.uniform(0.3, 0.7, 2)
        browser.drag("#pad", steps.clip(0.05, 0.95).tolist())
        browser.call(
            "Runtime.evaluate",
            expression="new Promise((done) => setTimeout(done, 40))",
            awaitPromise=True,
        )
        answers.append(browser.evaluate("times.at(-1)"))
    event, start, end = np.array(answers).T
    return end - event, end - start


def main() -> None:
    """Measure each page, and write the records."""
    run = {"kind": "run", "strokes": N_STROKES} | collect_provenance()
    records = [run]
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(Path(folder) / "profile")
        run["browser"] = browser.call("Browser.getVersion")["product"]
        for title, names in PAGES.items():
            path = Path(folder) / "page.html"
            write_page({name: load_pretrained(name) for name in names}, path)
            record: dict = {"kind": "page", "page": title, "networks": names}
            record["n_bytes"] = path.stat().st_size
            for part, values in zip(
                ("to_probabilities", "computing"), measure(browser, path), strict=True
            ):
                median, high = np.percentile(values, [50, 95]).round(2).tolist()
                record[f"{part}_ms"] = {"median": median, "percentile_95": high}
            print(record, flush=True)
            records.append(record)
        browser.close()
    RECORDS.unlink(missing_ok=True)
    for record in records:
        Journal(RECORDS).append(record)


if __name__ == "__main__":
    main()
