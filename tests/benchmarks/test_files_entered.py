"""How many files a reader must visit to follow one call."""

import subprocess
import sys
from pathlib import Path


def test_an_action_enters_few_files():
    script = Path(__file__).with_name("files_entered.py")  # its threads start with its hook
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
