"""The warm start: supervised learning of the protocol, from play that is valid and aimless.

A policy that cannot speak the protocol never earns a reward. `demonstrator` plays, `lessons`
teach what it has played, and `probe` tells when that has been learned; what play is good is left
for the rewards to teach.
"""

from corl_train.warmstart.demonstrator import Demonstrator, require_playable
from corl_train.warmstart.knowledge import verdicts_by_turn
from corl_train.warmstart.lessons import warm_up

__all__ = ["Demonstrator", "require_playable", "verdicts_by_turn", "warm_up"]
