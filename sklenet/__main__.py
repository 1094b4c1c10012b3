"""``python -m sklenet`` is the command ``sklenet``."""

import sys

from sklenet.cli import main

sys.exit(main())
