"""Lets tests import ``resume_run``, which lies beside them, also in processes that are started anew."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
