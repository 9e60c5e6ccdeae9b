"""Result files of a run: their schemas, and reading them.

`episodes.jsonl` is the truth for verdicts, `summary.json` what a run comes to, `manifest.json`
what it was. Metrics, reports and comparisons read them and know no run; docs/result-files.md
describes every field.

    >>> episode_key("synth", "p1", "single:nano", None, 0)
    'synth|p1|single:nano|-|0'
"""

from corl_bench.results.episodes import (
    EPISODE_SCHEMA,
    CallRecord,
    ChargeRecord,
    EpisodeRecord,
    canonical_lines,
    decode_episode,
    encode_episode,
    episode_key,
    read_episodes,
)
from corl_bench.results.manifest import (
    MANIFEST_NAME,
    MANIFEST_SCHEMA,
    describe_origin,
    read_manifest,
)
from corl_bench.results.summary import (
    SUMMARY_NAME,
    SUMMARY_SCHEMA,
    OperatingPoint,
    Summary,
    decode_summary,
    encode_point,
    encode_summary,
    read_summary,
)

__all__ = [
    "EPISODE_SCHEMA",
    "MANIFEST_NAME",
    "MANIFEST_SCHEMA",
    "SUMMARY_NAME",
    "SUMMARY_SCHEMA",
    "CallRecord",
    "ChargeRecord",
    "EpisodeRecord",
    "OperatingPoint",
    "Summary",
    "canonical_lines",
    "decode_episode",
    "decode_summary",
    "describe_origin",
    "encode_episode",
    "encode_point",
    "encode_summary",
    "episode_key",
    "read_episodes",
    "read_manifest",
    "read_summary",
]
