"""CoRL at full size: OpenRLHF trains, and the episodes are the bench's own.

`agent` is the file that OpenRLHF's rollout workers load, `job` says what it works with and
`label` what comes with each prompt; `training` is the driver, which puts right what is wrong in
OpenRLHF itself (`corrections`). Only what they run imports OpenRLHF, Ray or vLLM.
"""

from pathlib import Path


def agent_path() -> Path:
    """The file for OpenRLHF's `--train.agent_func_path`; nothing of OpenRLHF is needed to ask."""
    return Path(__file__).with_name("agent.py")
