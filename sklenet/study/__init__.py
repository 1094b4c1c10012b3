"""Studies: a TOML file in; records, tables and pictures out."""

from sklenet.study.config.read import read_study
from sklenet.study.config.spec import Study, StudyError
from sklenet.study.engine.run import run_study
from sklenet.study.report.results import Results, load

__all__ = ["Results", "Study", "StudyError", "load", "read_study", "run_study"]
