"""The finished file as a whole: its own metadata, and how its muxer is asked to write it."""

from __future__ import annotations

import math

from av.container import InputContainer
from av.stream import Stream

# what a container says of itself, not of its content
_OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder")
# what was measured on the video stream that is replaced
_OF_THE_FRAMES = ("BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS", "encoder", "vendor_id")
# what MP4's own list of tags has; with any other key, QuickTime's list, which takes all, is written instead
_MP4_TAGS = {
    *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping"),
    *("lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "season_number"),
    *("episode_sort", "hd_video", "gapless_playback", "media_type", "compilation", "track", "disc", "tmpo"),
    *("sort_name", "sort_artist", "sort_album_artist", "sort_album", "sort_composer", "sort_show", "creation_time"),
}


def container_options(kind: str, source: InputContainer | None) -> dict[str, str]:
    """FFmpeg's options of the muxer `kind`, for a file that gets the streams of `source`."""
    if kind not in ("mp4", "mov"):
        return {}
    flags = "+faststart"
    if any(key not in _MP4_TAGS for key in file_metadata(source)):
        flags += "+use_metadata_tags"
    # begins of streams are kept exactly where one clock serves them all
    clocks = [stream.time_base.denominator for stream in source.streams if stream.time_base] if source else []
    clock = math.lcm(*clocks) if clocks else 1
    exact = {"movie_timescale": str(clock)} if 1000 <= clock < 1 << 31 else {}
    return {"movflags": flags, **exact}


def file_metadata(source: InputContainer | None) -> dict[str, str]:
    """What a source says of its content."""
    if source is None:
        return {}
    return {key: value for key, value in source.metadata.items() if key not in _OF_THE_FILE}


def video_stream_metadata(stream: Stream) -> dict[str, str]:
    """What the main video stream says of itself that still holds when its frames are replaced."""
    return {key: value for key, value in stream.metadata.items() if not key.startswith(_OF_THE_FRAMES)}
