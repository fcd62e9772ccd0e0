"""The benchmark of photographs: its set, and its table."""

from PIL import Image

from benchmarks import photos


def test_the_set_is_made_of_the_demo_photograph(tmp_path):
    photos.photographs(tmp_path)
    sizes = [Image.open(path).size for path in sorted(tmp_path.iterdir())]
    assert len(sizes) == photos.COUNT
    megapixels = [width * height / 1e6 for width, height in sizes]
    assert megapixels == sorted(megapixels)
    assert 0.24 < megapixels[0] < 0.26
    assert 0.49 < megapixels[-1] < 0.51


def test_table():
    stages = {"decode": 0.5, "network": 3.0, "encode": 1.0}
    rows = {
        "fastsr upscale": {"seconds": 4.0, **stages},
        photos.ENGINE: {"seconds": 3.5, "decode": 0.0, "network": 3.5, "encode": 0.0},
        "OpenCV dnn": {"seconds": 9.0, **stages},
    }
    lines = photos.table({"rows": rows}).splitlines()
    assert lines[2] == "| fastsr upscale | 4.0 | 0.5 | 3.0 | 1.0 | 88% |"
    assert lines[3] == "| engine alone | 3.5 |  | 3.5 |  |  |"
    assert lines[4] == "| OpenCV dnn | 9.0 | 0.5 | 3.0 | 1.0 |  |"


def test_results_that_differ_are_found(tmp_path):
    for name, value in (("ours", 10), ("near", 11), ("far", 12)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4), (value, 0, 0)).save(tmp_path / name / "a.png")
    (tmp_path / "none").mkdir()
    found = [photos.differs(tmp_path / "ours", tmp_path / name) for name in ("near", "far", "none")]
    assert found == [False, True, True]
