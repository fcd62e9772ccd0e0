"""Frames of a camera: enlarged for sessions of the page alone, and given up where something else is made."""

import io
import json
import re
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image
from support.small_models import SAMPLE

import fastsr
from fastsr.errors import FastsrError, ImageError
from fastsr.web.jobs import Job, Turns
from fastsr.web.live import BusyError, Live
from fastsr.web.store import Store


@pytest.fixture
def live(tmp_path):
    return Live(Store(tmp_path / "web", keep_hours=1), Turns())


def jpeg(width, height):
    file = io.BytesIO()
    with Image.open(SAMPLE) as image:
        image.convert("RGB").resize((width, height)).save(file, "JPEG", quality=95)
    return file.getvalue()


def test_a_frame_is_enlarged_by_the_model(live):
    frame = jpeg(48, 32)
    made = np.asarray(Image.open(io.BytesIO(live.enlarged(frame, "live-x2")))).astype(int)
    expected = np.asarray(fastsr.load("live-x2", video=True).upscale(Image.open(io.BytesIO(frame)))).astype(int)
    assert made.shape == (64, 96, 3)
    assert np.abs(made - expected).mean() < 4  # what JPEG costs


def test_wrong_frames(live):
    with pytest.raises(FastsrError, match="unknown model"):
        live.enlarged(jpeg(48, 32), "srgan-x4")
    with pytest.raises(FastsrError, match="too large"):
        live.enlarged(jpeg(1000, 800), "bicubic")
    with pytest.raises(ImageError):
        live.enlarged(b"no image", "bicubic")


def test_a_frame_does_not_wait_for_long(live, monkeypatch):
    monkeypatch.setattr("fastsr.web.live.PATIENCE", 0.01)
    entered, end = threading.Event(), threading.Event()

    def hold(job):
        with live._turns.turn(job):
            entered.set()
            end.wait(30)

    job = Job(hold)
    job.start()
    entered.wait(30)
    with pytest.raises(BusyError):
        live.enlarged(jpeg(48, 32), "bicubic")
    end.set()
    for _ in job.follow():
        pass
    assert live.enlarged(jpeg(48, 32), "bicubic")


def test_only_sessions_of_the_page_are_admitted(live):
    token = "a" * 43
    key = re.search('key="([^"]*)"', live.element(token))[1]
    assert live.admits(token, key)
    assert not live.admits("b" * 43, key)
    assert not live.admits(token, "x")
    assert not live.admits(token, "\N{SNOWMAN}")


def test_through_the_server(address, folder):
    secret = Live(Store(folder, keep_hours=1), Turns())
    token = "c" * 43
    key = re.search('key="([^"]*)"', secret.element(token))[1]

    def post(key, body, model="bicubic"):
        url = f"{address}/live/{token}/{key}?model={model}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    status, body = post(key, jpeg(40, 30))
    assert status == 200
    assert Image.open(io.BytesIO(body)).size == (160, 120)
    assert post("x", jpeg(40, 30))[0] == 403
    assert post(key, jpeg(40, 30), "none")[0] == 422
    assert post(key, json.dumps({"no": "image"}).encode())[0] == 422
    assert post(key, b"x" * (1 << 21))[0] == 413
