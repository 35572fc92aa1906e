import sys

from oracles.cli import main

sys.exit(main())
