"""python -m fastsr: the command line."""

import sys

from fastsr.cli.main import main

sys.exit(main())
