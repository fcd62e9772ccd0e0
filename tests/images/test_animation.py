"""Animations, and files with several pages."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from support.image_helpers import encoded, enlarge, image_of_mode, noise, restored, rewritten, smooth, twice

from fastsr.errors import ImageError
from fastsr.images import Frame, read, write

DURATIONS = [40, 70, 100, 250]


def animation(transparent: bool) -> list[Image.Image]:
    """Four frames of a moving square; the second and third are equal."""
    frames = []
    for position in (0, 3, 3, 6):
        array = np.zeros((12, 14, 4), np.uint8)
        array[..., 3] = 0 if transparent else 255
        array[position : position + 5, 2:9] = (200, 30 * position, 10, 255)
        frames.append(Image.fromarray(array))
    return frames


def animated_file(format: str, transparent: bool, loop: int = 0) -> bytes:
    options = {"lossless": True} if format == "WEBP" else {"disposal": 2} if format == "GIF" else {}
    # unequal corners keep Pillow from merging the equal frames of the sample
    frames = animation(transparent)
    frames[2].putpixel((13, 11), (0, 0, 255, 255))
    file = io.BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:], duration=DURATIONS, loop=loop, **options)
    return file.getvalue()


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("source", ["GIF", "WEBP", "PNG"])
def test_animation_is_read_as_displayed(source, transparent):
    decoded = read(io.BytesIO(animated_file(source, transparent)))
    assert len(decoded.frames) == 4
    for frame, expected in zip(decoded.frames, animation(transparent), strict=True):
        array = np.asarray(expected).copy()
        assert (frame.alpha is not None) == transparent
        visible = array[..., 3] > 0
        visible[11, 13] = False
        np.testing.assert_array_equal(frame.color[visible], array[visible][:, :3])
        if frame.alpha is not None:
            np.testing.assert_array_equal(frame.alpha[:11, :, 0], array[:11, :, 3])
    results = decoded.restore(enlarge(decoded.frames))
    assert isinstance(results, list)
    assert [result.info["duration"] for result in results] == DURATIONS
    assert {result.size for result in results} == {(28, 24)}
    assert results[0].info["loop"] == 0


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng"])
@pytest.mark.parametrize("source", ["GIF", "WEBP", "PNG"])
def test_animation_round_trip(source, suffix, transparent, tmp_path):
    path = tmp_path / f"out{suffix}"
    decoded = read(io.BytesIO(animated_file(source, transparent)))
    write(decoded, enlarge(decoded.frames), path)
    again = read(path)
    assert [image.info["duration"] for image in again.restore(again.frames)] == DURATIONS
    for frame, before in zip(again.frames, decoded.frames, strict=True):
        assert (frame.alpha is not None) == transparent
        if frame.alpha is not None and before.alpha is not None:
            np.testing.assert_array_equal(frame.alpha, twice(before.alpha))
        if suffix != ".webp":
            visible = (twice(before.alpha)[..., 0] if before.alpha is not None else np.ones((24, 28))) > 0
            np.testing.assert_array_equal(frame.color[visible], twice(before.color)[visible])


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_equal_frames_keep_the_timing(suffix, tmp_path):
    decoded = read(io.BytesIO(animated_file("PNG", False)))
    frames = [*[decoded.frames[0]] * 3, decoded.frames[3]]
    write(decoded, frames, tmp_path / f"out{suffix}")
    again = read(tmp_path / f"out{suffix}")
    durations = [image.info["duration"] for image in again.restore(again.frames)]
    # libwebp merges equal frames
    assert durations == ([sum(DURATIONS[:3]), DURATIONS[3]] if suffix == ".webp" else DURATIONS)


def test_odd_durations_sum_up(tmp_path):
    frames = animation(False)
    frames[2].paste((1, 200, 3, 255), (0, 0, 10, 12))  # libwebp merges frames that are nearly the same
    file = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=[33, 33, 34, 15], loop=3)
    decoded = read(file)
    write(decoded, decoded.frames, tmp_path / "out.png")
    assert [i.info["duration"] for i in restored(tmp_path / "out.png")] == [33, 33, 34, 15]
    write(decoded, decoded.frames, tmp_path / "out.webp")
    assert [i.info["duration"] for i in restored(tmp_path / "out.webp")] == [33, 33, 34, 15]
    write(decoded, decoded.frames, tmp_path / "out.gif")
    assert [i.info["duration"] for i in restored(tmp_path / "out.gif")] == [30, 40, 30, 20]


@pytest.mark.parametrize(("source", "suffix"), [("GIF", ".gif"), ("WEBP", ".webp"), ("PNG", ".png")])
@pytest.mark.parametrize("loop", [0, 3])
def test_loop_count_is_kept(source, suffix, loop, tmp_path):
    result = rewritten(io.BytesIO(animated_file(source, False, loop)), tmp_path / f"out{suffix}")
    assert result.info["loop"] == loop


def test_loop_count_between_formats(tmp_path):
    """GIF counts repetitions, the others plays."""
    gif = io.BytesIO(animated_file("GIF", False, 3))
    assert rewritten(gif, tmp_path / "out.webp").info["loop"] == 4
    once = encoded(animation(False)[0], "GIF", save_all=True, append_images=animation(False)[1:2], duration=50)
    assert rewritten(once, tmp_path / "out.png").info["loop"] == 1
    once.seek(0)
    assert "loop" not in rewritten(once, tmp_path / "out.gif").info


def test_background_is_kept(tmp_path):
    frames = animation(True)
    file = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], background=(9, 8, 7, 255))
    assert rewritten(file, tmp_path / "out.webp").info["background"] == (9, 8, 7, 255)
    file.seek(0)
    assert list(rewritten(file, tmp_path / "out.gif").global_palette.palette[:3]) == [9, 8, 7]
    assert read(tmp_path / "out.gif").animation.background == (9, 8, 7, 255)


def test_avif_animation(tmp_path):
    decoded = read(io.BytesIO(animated_file("PNG", False)))
    write(decoded, decoded.frames, tmp_path / "out.avif")
    assert [image.info["duration"] for image in restored(tmp_path / "out.avif")] == DURATIONS


def test_animation_from_an_opened_image_keeps_its_place():
    image = Image.open(io.BytesIO(animated_file("GIF", True)))
    image.seek(2)
    assert len(read(image).frames) == 4
    assert image.tell() == 2


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".tif"])
def test_animation_into_a_still_format(suffix, tmp_path):
    decoded = read(io.BytesIO(animated_file("GIF", True)))
    with pytest.raises(ImageError, match=r"animation.*PNG or GIF or WebP"):
        write(decoded, decoded.frames, tmp_path / f"out{suffix}")


def test_gif_thresholds_alpha_at_half(tmp_path):
    array = np.full((2, 2, 4), 200, np.uint8)
    array[..., 3] = [[0, 127], [128, 255]]
    write(read(array), read(array).frames, tmp_path / "out.gif")
    result = np.asarray(Image.open(tmp_path / "out.gif").convert("RGBA"))
    assert result[..., 3].tolist() == [[0, 0], [255, 255]]
    assert result[1, 1].tolist() == [200, 200, 200, 255]


def test_pages_of_a_tiff(tmp_path):
    pages = [Image.fromarray(smooth(6, 8)), Image.fromarray(noise(5, 4)), image_of_mode("CMYK"), image_of_mode("LA")]
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    file = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], exif=exif, dpi=(300, 300))
    decoded = read(file)
    results = decoded.restore(enlarge(decoded.frames))
    assert [result.mode for result in results] == ["RGB", "L", "CMYK", "LA"]
    write(decoded, enlarge(decoded.frames), tmp_path / "out.tif")
    image = Image.open(tmp_path / "out.tif")
    assert image.n_frames == 4
    for index, page in enumerate(pages):
        image.seek(index)
        assert image.mode == page.mode
        np.testing.assert_array_equal(np.asarray(image), twice(np.asarray(page)))
        assert image.getexif()[0x010F] == "Maker"
        assert image.info["dpi"] == (300, 300)
    with pytest.raises(ImageError, match=r"4 separate images.*TIFF"):
        write(decoded, decoded.frames, tmp_path / "out.png")


def test_deep_pages(tmp_path):
    torch = pytest.importorskip("torch")
    batch = read(torch.zeros(2, 3, 4, 5))
    frames = [Frame(noise(4, 5, 3, dtype=np.uint16)) for _ in range(2)]
    write(batch, frames, tmp_path / "out.tif")
    for frame, expected in zip(read(tmp_path / "out.tif").frames, frames, strict=True):
        np.testing.assert_array_equal(frame.color, expected.color)


def test_only_the_main_image_of_a_phone_photo(tmp_path):
    """MPO files hold a second image, e.g. a preview; it is no frame."""
    first, second = Image.fromarray(smooth(16, 16)), Image.new("RGB", (4, 4))
    file = encoded(first, "MPO", save_all=True, append_images=[second])
    assert len(read(file).frames) == 1
