"""``python -m modelsec`` is ``modelsec``."""

import sys

from modelsec.cli import main

sys.exit(main())
