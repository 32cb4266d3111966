"""`python -m evbagent`."""

import sys

from evbagent.cli import main

sys.exit(main())
