"""
``python -m onelogin_connector``: the command line.
"""

import sys

from onelogin_connector.cli import main

sys.exit(main())
