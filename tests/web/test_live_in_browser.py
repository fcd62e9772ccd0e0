"""The camera on the page: a browser's stand-in for one is enlarged while one looks, and let go at the end."""


def test_the_camera_is_enlarged_and_the_frame_rate_is_told(visit):
    page = visit(permissions=["camera"])
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_function("() => document.querySelector('fastsr-live canvas').width > 320")
    page.get_by_text("frames a second").wait_for()
    page.get_by_role("button", name="Stop the camera").click()
    page.get_by_role("button", name="Start the camera").wait_for()
    page.wait_for_function("() => !document.querySelector('fastsr-live').stream")
