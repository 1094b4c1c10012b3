"""Studies: a TOML file in; records, tables and pictures out."""

from sklenet.study.read import read_study
from sklenet.study.results import load
from sklenet.study.run import run_study
from sklenet.study.spec import Study, StudyError

__all__ = ["Study", "StudyError", "load", "read_study", "run_study"]
