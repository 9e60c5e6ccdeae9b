"""The warm start: supervised learning of the protocol, from play that is valid and aimless.

A policy that cannot speak the protocol never earns a reward. `demonstrator` plays, `lessons`
teach what it has played, and `probe` tells when that has been learned. What play is good is left
for the rewards to teach, or for `counsel` to suggest: rules of thumb from what the demonstrations
themselves tell of the experts.
"""

from corl_train.warmstart.advice import teach_plan
from corl_train.warmstart.demonstrator import Demonstrator, require_playable
from corl_train.warmstart.knowledge import verdicts_by_turn
from corl_train.warmstart.lessons import warm_up

__all__ = ["Demonstrator", "require_playable", "teach_plan", "verdicts_by_turn", "warm_up"]
