"""Training's tests need its extra; without torch they are skipped, and said so."""

import pytest

pytest.importorskip("torch", reason='training needs: pip install -e ".[train]"')
