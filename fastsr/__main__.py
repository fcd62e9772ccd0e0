"""python -m fastsr: the command line."""

import sys

from fastsr.cli.command import main

sys.exit(main())
