"""Studies: a TOML file describes the fits; they end as records, tables and figures."""

from sklenet.study.config.errors import StudyError
from sklenet.study.config.read import read_study
from sklenet.study.config.spec import Study
from sklenet.study.engine.run import run_study
from sklenet.study.report.results import Results, load

__all__ = ["Results", "Study", "StudyError", "load", "read_study", "run_study"]
