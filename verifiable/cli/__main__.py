"""``python -m verifiable.cli``."""

import sys

from verifiable.cli.main import main

sys.exit(main())
