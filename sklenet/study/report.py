"""Tables of a study's records: Markdown to read, CSV to compute with."""

import numpy as np
import pandas as pd

from sklenet.study.plan import DEFAULT, WINNER
from sklenet.study.results import Results
from sklenet.study.spec import ORIGINALS

TABLE = "table.md"
FITS = "fits.csv"
SUMMARY = "summary.csv"
CANDIDATES = "candidates_{}.csv"

_SHOWN_CANDIDATES = 10


def write_tables(results: Results) -> str:
    """Write the tables into the study's folder; return the Markdown."""
    folder = results.folder
    text = markdown(results)
    (folder / TABLE).write_text(text, encoding="utf-8")
    results.fits.to_csv(folder / FITS, index=False)
    results.summary.to_csv(folder / SUMMARY, index=False)
    for data in results.searches:
        results.candidates(data).to_csv(folder / CANDIDATES.format(data), index=False)
    return text


def markdown(results: Results) -> str:
    """Return the study's tables: its candidates, its tests, and paired differences.

    Nothing in them depends on when, or in how many runs, the fits were made.
    """
    study = results.study
    parts = [f"**{study.title}**"]
    for data in study.data:
        if data in results.searches:
            parts += [_search_intro(results, data), candidate_table(results, data)]
    tested = test_table(results)
    if tested:
        parts += [_test_intro(results), tested]
    beside = published_table(results)
    if beside:
        parts += ["Published figures beside ours:", beside]
    for figure in study.published:
        for name, published in figure.curves.items():
            parts += _curve(results, figure, name, published)
    parts += [
        f"Failed: {record['data']}, {record['setting']}, seed {record['seed']}:"
        f" {record['error']}"
        for record in results.fit_records
        if "error" in record
    ]
    compared = difference_table(results)
    if compared:
        parts += [f"Differences of test {study.metrics[0]}, paired over seeds:", compared]
    if study.notes:
        parts.append(study.notes.strip())
    return "\n\n".join(parts) + "\n"


def _search_intro(results: Results, data: str) -> str:
    search = results.study.search
    assert search is not None
    n_train = max(
        one["n_train"]
        for one in results.records
        if one["kind"] in ("fold", "trial") and one["data"] == data
    )
    candidates = results.candidates(data)
    n = len(candidates)
    shown = f"; the best {_SHOWN_CANDIDATES}" if n > _SHOWN_CANDIDATES else ""
    if search.kind == "settings":
        shown = f"; differences from {results.cv_results(data)['param_setting'][0]!r}"
    given_up = ""
    if "state" in candidates:
        n_given_up = (candidates["state"] == "pruned").sum()
        given_up = f", {n_given_up} of them given up before their last epoch"
    return (
        f"{data}: {n} candidates in a search of kind {search.kind!r}{given_up},"
        f" {search.cv}-fold cross-validation with up to {n_train:,} images to train"
        f" on{shown}:"
    )


def candidate_table(results: Results, data: str) -> str:
    """Return the table of a search's best candidates, or of all its settings."""
    candidates = results.candidates(data)
    metric = results.study.metrics[0]
    of_settings = "setting" in candidates
    shown = candidates if of_settings else candidates.head(_SHOWN_CANDIDATES)
    columns = [c for c in shown if c not in ("mean", "sd", "difference", "low", "high")]
    table = shown[columns].map(_word)
    table[f"CV {metric}"] = shown["mean"].map(_number)
    table["sd over folds"] = shown["sd"].map(_number)
    if of_settings:
        table["difference"] = shown["difference"].map("{:+.4f}".format)
        table["95 %"] = _intervals(shown)
    return _table(table, {"rank", f"CV {metric}", "sd over folds"})


def _test_intro(results: Results) -> str:
    held_out = results.study.validation
    if held_out is None or held_out == "test":
        trained = "Trained on the whole training set"
    else:
        how = "the first" if results.study.validation_rows == "first" else "a random"
        trained = (
            f"Trained without {how} {held_out:.0%} of the training set, for validation"
        )
    when = "after the last epoch"
    if any(record["params"].get("early_stopping") for record in results.fit_records):
        when += " or, where training was stopped early, after that which was restored"
    return (
        f"{trained}, tested once per seed, {when}: mean ± standard deviation"
        " over seeds, and Student's 95 % interval of the mean of the first figure."
    )


def test_table(results: Results) -> str:
    """Return the table of test figures; "" without fits."""
    study = results.study
    summary, fits = results.summary, results.fits
    if not len(summary):
        return ""
    summary = summary.set_index(["data", "setting", "score"])
    rows = []
    for name, group in fits.groupby(["data", "setting"], sort=False):
        data, setting = map(str, name)
        done = group[group["error"].isna()]
        row = {"data": data, "setting": setting_text(results, data, setting)}
        for test in study.tests:
            for metric in study.metrics:
                row[f"{test} {metric}"] = _spread(
                    summary, data, setting, f"{test}_{metric}"
                )
                if (test, metric) == (ORIGINALS, study.metrics[0]):
                    row["95 %"] = _interval(summary, data, setting, f"{test}_{metric}")
                    at_best = f"{test}_{metric}_at_best_epoch"
                    if (data, setting, at_best) in summary.index:
                        row["at the best epoch"] = _spread(summary, data, setting, at_best)
        if "valid_accuracy" in fits:
            row["validation accuracy"] = _spread(summary, data, setting, "valid_accuracy")
        row["seeds"] = str(len(done))
        row["epochs"] = _range(done["epochs"])
        row["test images"] = f"{int(done['n_test'].max()):,}" if len(done) else ""
        rows.append(row)
    return _table(pd.DataFrame(rows).fillna(""), set())


def _curve(results: Results, figure, name: str, published) -> list[str]:
    """Return a published curve's heading and table, with the mean of ours below it."""
    histories = [
        record["history"]
        for record in results.fit_records
        if record["data"] == figure.data
        and figure.setting in (None, record["setting"])
        and "history" in record
    ]
    ours = [
        [history[k][name] for history in histories if k < len(history)]
        for k in range(len(published))
    ]
    what = name.replace("_", " ")
    if name.startswith("valid") and results.study.validation == "test":
        what += " (on the test images)"
    rows = {
        figure.source: [_number(value) for value in published],
        "ours, mean": [_number(np.mean(values)) if values else "" for values in ours],
        "sd": [
            _number(np.std(values, ddof=1)) if len(values) > 1 else "" for values in ours
        ],
    }
    table = pd.DataFrame(
        [[label, *cells] for label, cells in rows.items()],
        columns=["epoch", *map(str, range(1, 1 + len(published)))],
    )
    of = figure.data + (f", {figure.setting}" if figure.setting else "")
    return [f"{of}: {what} per epoch, n = {len(histories)}:", _table(table, set())]


def published_rows(results: Results) -> pd.DataFrame:
    """Return the published figures, each with ours beside it."""
    rows: list[dict] = []
    summary = results.summary
    for published in results.study.published:
        for name, value in published.figures.items():
            row = {"source": published.source, "data": published.data}
            row |= {"setting": published.setting or "", "figure": name, "published": value}
            if len(summary):
                ours = summary[
                    (summary["data"] == published.data) & (summary["score"] == name)
                ]
                if published.setting is not None:
                    names = ours["setting"].map(
                        lambda name, data=published.data: _trained(results, data, name)
                    )
                    ours = ours[names == published.setting]
                for one in ours.to_dict("records"):
                    row |= {"ours": one["mean"], "sd": one["sd"], "n": one["n"]}
                    row["difference"] = one["mean"] - value
            rows.append(row | {"why": published.why})
    return pd.DataFrame(rows)


def published_table(results: Results) -> str:
    """Return the table of published figures beside ours; "" where there are none."""
    rows = published_rows(results)
    if not len(rows):
        return ""
    if "ours" in rows:
        rows["ours"] = [
            ""
            if pd.isna(mean)
            else _number(mean) + ("" if pd.isna(sd) else f" ± {_number(sd)}")
            for mean, sd in rows[["ours", "sd"]].to_numpy()
        ]
        rows["n"] = rows["n"].map(lambda n: "" if pd.isna(n) else str(int(n)))
        rows["difference"] = rows["difference"].map(
            lambda d: "" if pd.isna(d) else f"{d:+.4f}"
        )
        rows = rows.drop(columns="sd")
    rows["published"] = rows["published"].map(_number)
    kept = [name for name in rows if rows[name].map(str).str.len().any()]
    return _table(rows[kept], set())


def _trained(results: Results, data: str, name: str) -> str:
    """Return a setting's name; for the winner of a search over settings, that one's."""
    if name != WINNER or results.grid:
        return name
    search = results.searches[data]
    return search["cv_results"]["params"][search["best"]]["setting"]


def setting_text(results: Results, data: str, name: str) -> str:
    """Return a setting's name, or the parameters that it stands for."""
    if name == WINNER:
        search = results.searches[data]
        chosen = search["cv_results"]["params"][search["best"]]
    elif name == DEFAULT:
        chosen = results.study.estimator
    else:
        return name
    return ", ".join(f"{key} {_word(value)}" for key, value in chosen.items()) or "defaults"


def difference_table(results: Results) -> str:
    """Return the table of differences, paired over seeds; "" where there are none."""
    score = f"{ORIGINALS}_{results.study.metrics[0]}"
    if score not in results.fits:
        return ""
    compared = results.compare(score)
    if not len(compared):
        return ""
    table = compared[["data", "setting", "minus"]].copy()
    table["difference"] = compared["mean"].map("{:+.4f}".format)
    table["95 %"] = _intervals(compared)
    table["seeds"] = compared["n"].map(str)
    return _table(table, set())


def _intervals(frame: pd.DataFrame) -> list[str]:
    return [f"{low:+.4f} to {high:+.4f}" for low, high in frame[["low", "high"]].to_numpy()]


def _spread(summary, data, setting, score) -> str:
    if (data, setting, score) not in summary.index:
        return "failed"
    row = summary.loc[(data, setting, score)]
    return _number(row["mean"]) + (f" ± {_number(row['sd'])}" if row["n"] > 1 else "")


def _interval(summary, data, setting, score) -> str:
    if (data, setting, score) not in summary.index:
        return ""
    row = summary.loc[(data, setting, score)]
    return f"{_number(row['low'])} to {_number(row['high'])}" if row["n"] > 1 else ""


def _range(values) -> str:
    if not len(values):
        return ""
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def _number(value) -> str:
    return "failed" if pd.isna(value) else f"{value:.4f}"


def _word(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(frame: pd.DataFrame, right: set[str]) -> str:
    frame = frame.map(lambda cell: str(cell).replace("|", "\\|"))
    align = ["right" if column in right else "left" for column in frame]
    return frame.to_markdown(index=False, colalign=align, disable_numparse=True)
