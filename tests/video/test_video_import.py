"""PyAV is loaded when a video is asked for, and its absence is said."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("av")


ROOT = Path(__file__).parents[2]


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


def test_importing_fastsr_does_not_import_pyav():
    done = run_python(
        "import sys, fastsr; assert 'av' not in sys.modules; fastsr.upscale_video; assert 'av' in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def test_without_pyav_it_says_what_to_install():
    code = "import sys; sys.modules['av'] = None; import fastsr; fastsr.upscale_video"
    assert "VideoError: video needs PyAV" in run_python(code).stderr
    assert "run: pip install 'fastsr[video]'" in run_python(code).stderr
