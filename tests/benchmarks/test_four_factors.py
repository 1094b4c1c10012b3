"""The document about the study of four factors, on constructed studies."""

import json

import four_factors
import four_factors_analysis as analysis
import four_factors_figures
import pytest
import rendering
from constructed_studies import GRID, HEAD, RUN, write_four_factors, write_study

from sklenet.study import read_study
from sklenet.study.engine.plan import plan_jobs
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.results import Results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_four_factors(tmp_path_factory.mktemp("studies"))


@pytest.fixture
def results(folder):
    return Results(folder / four_factors.STUDY)


@pytest.fixture
def rendered(folder, monkeypatch):
    """Let the documents be made from the constructed studies."""
    rendering.read_results.cache_clear()
    for module in (rendering, four_factors):
        monkeypatch.setattr(module, "RESULTS", folder)
    yield
    rendering.read_results.cache_clear()


def test_without_the_defaults_there_are_no_changes(tmp_path):
    grid = GRID.replace('"relu", ', "")
    results = write_study(tmp_path, "s", HEAD.format(steps="") + grid)
    assert not len(analysis.compute_changes(results))
    assert "default values" not in four_factors.describe_answer(results)


def test_the_strongest_interaction_is_found_and_described(results):
    pair, share = analysis.get_strongest_pair(results, "cifar10")
    assert pair == ["pooling", "init"]
    shares = results.variance_shares("cifar10", without={"activation": ["sigmoid"]})
    shares = shares.set_index("term")["share"]
    assert share == shares["pooling × init"]
    table = analysis.compute_pair_means(results, "cifar10", ["activation", "init"])
    assert table.index.tolist() == ["relu", "gelu"]
    means = analysis.compute_pair_means(results, "cifar10", pair)
    assert means.loc["avg", "xavier_uniform"] - means.loc["avg", "he_uniform"] == (
        pytest.approx(4)
    )
    text = four_factors.describe_interaction(results, "cifar10")
    assert text.startswith("`pooling` × `init` has ")
    assert "xavier_uniform with avg" in text


def test_the_answer_is_made_of_the_numbers(results):
    answer = four_factors.describe_answer(results)
    poor = analysis.find_poor(results)
    shares = analysis.compute_shares(results, poor)
    assert (
        "- `activation='sigmoid'` is far below the other values. Without it, the" in answer
    )
    for name, data, title in (
        ("activation", "mnist", "MNIST"),
        ("pooling", "cifar10", "CIFAR-10"),
    ):
        assert f"`{name}` on {title} ({100 * shares[data][name]:.0f} %)" in answer
    # The best ten on MNIST: GELU, then ReLU with average pooling.
    assert (
        "The 10 best of the 24 combinations on MNIST are within 1.00 percentage" in answer
    )
    means = analysis.get_means(results)
    best = means["mnist"].nlargest(10).index
    ranks = analysis.rank_candidates(results)["cifar10"][best]
    assert f"their ranks are {ranks.min():.0f} to {ranks.max():.0f} on CIFAR-10" in answer
    assert "best on CIFAR-10 is 0.50 percentage points below the best on MNIST." in answer
    assert (
        "`activation='gelu'` is the change that gains most on average: +1.00 percentage"
        " points on MNIST (95% CI +1.00 to +1.00) and +2.00 on CIFAR-10 (+2.00 to +2.00)."
    ) in answer


def test_the_document_has_the_numbers_of_both_studies(rendered):
    text = four_factors.render()
    assert "all 24 combinations" in text
    assert "the poor values are `activation='sigmoid'`: each" in text
    assert "gelu, 1.00 above relu" in text
    assert "144 fits" in text
    assert "1.4 CPU hours" in text
    assert "8 combinations of these values, 48 fits" in text
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    # The differences are the same on every fold.
    gain = ["+1.00 (+1.00 to +1.00)", "+2.00 (+2.00 to +2.00)", "+1.50"]
    assert ["activation = gelu", *gain] in rows
    assert ["MNIST", "relu", "-0.25 ± 0.00", "-0.25 to -0.25", "2"] in rows
    assert "Interpretation" not in text
    assert "Winners on all images" not in text


def test_the_document_shows_the_winners_on_all_images_once_they_are_recorded(
    rendered, folder, monkeypatch
):
    name = "winners"
    text = HEAD.format(steps="").partition("[search]")[0].replace("n_train = 60\n", "")
    (folder / f"{name}.toml").write_text(
        f'name = "{name}"\nnotes = "Why."\n{text}\n[[setting]]\nname = "defaults"\n'
        '[[setting]]\nname = "best"\nestimator = { activation = "gelu" }\n'
    )
    study = read_study(folder / f"{name}.toml")
    records = [{"kind": "study", "study": study.to_record()}, RUN]
    for data in study.data:
        for job in plan_jobs(study, data):
            accuracy = 0.9 + 0.05 * (job.setting == "best") + 0.01 * job.seed
            record = {"key": job.make_key(study), "kind": "fit", "run": 1, "data": data}
            record |= {"setting": job.setting, "seed": job.seed, "n_train": 60}
            record |= {"n_test": 10, "params": {}, "steps": [], "n_parameters": 61706}
            history = 2 * [{"epoch": 1, "train_loss": 0.1, "train_accuracy": 0.9}]
            tests = {"test": {"accuracy": accuracy}}
            records.append(record | {"history": history, "tests": tests})
    (folder / name).mkdir()
    lines = [json.dumps(record) + "\n" for record in records]
    (folder / name / RECORDS).write_text("".join(lines))
    monkeypatch.setattr(four_factors, "_WINNERS", name)
    text = four_factors.render()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert ["best", "95.50 ± 0.71", "95.50 ± 0.71"] in rows
    assert ["defaults", "90.50 ± 0.71", "90.50 ± 0.71"] in rows
    assert "Why." in text
    assert "for 2 epochs with 2 seeds" in text


def test_figures_show_the_computed_values(rendered, results, tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(four_factors_figures, "DOCS", tmp_path)
    drawn = []
    monkeypatch.setattr(plt, "close", drawn.append)
    paths = four_factors_figures.draw_figures()
    monkeypatch.undo()
    text_of_page = (rendering.TEMPLATES / "four_factors.md.j2").read_text()
    assert len(paths) == len(drawn) == 5
    for path in paths:
        assert path.is_file()
        assert f"]({path.name})" in text_of_page
    shares = analysis.compute_shares(results)
    for ax, data in zip(drawn[0].axes[2:], ("mnist", "cifar10"), strict=True):
        widths = [bar.get_width() for bar in ax.patches]
        assert widths == pytest.approx((100 * shares[data]).tolist())
    titles = [ax.get_title() for ax in drawn[0].axes[:2]]
    assert titles == ["MNIST\nwithout sigmoid", "CIFAR-10\nwithout sigmoid"]
    effects = results.main_effects("cifar10", without={"activation": ["sigmoid"]})
    points = [
        x
        for line in drawn[1].axes[1].lines
        if line.get_marker() == "o"
        for x in line.get_xdata()
    ]
    assert points == pytest.approx((100 * effects["mean"]).tolist())
    for figure in drawn:
        plt.close(figure)
