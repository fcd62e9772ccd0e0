"""python -m fastsr: the command line."""

import sys

from fastsr.cli import main

sys.exit(main())
