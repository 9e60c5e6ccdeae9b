"""The policy in its own rehearsals: it plays, and foresight says what it should have done.

Whoever learns from another's play alone has never been told what to do behind his own mistakes
(DAgger, Ross et al., AISTATS 2011). It is asked for the first token of a turn, which names
the expert or the answer; where it says anything else, advice is followed.

    stage.rehearse(pool, Decimal("0.01"), 48, rng, chooser=OwnPlay(policy, protocol))
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from corl_bench.routers.outlook import LETTERS
from corl_bench.routers.protocol import Protocol
from corl_train.policies.base import Policy, Speaking
from corl_train.policies.vocabulary import MOST_EXPERTS
from corl_train.rollouts import Transcript
from corl_train.variety.rehearsals import Cue, answer_turn, call_turn


class OwnPlay:
    """A `Chooser` whose turns a policy says, whose weights do not change meanwhile.

    Args:
        policy: what learns.
        protocol: that it speaks.
        temperature: of its turns; 0 is as it will be evaluated.
    """

    def __init__(self, policy: Policy, protocol: Protocol, *, temperature: float) -> None:
        self._policy, self._protocol = policy, protocol
        self._how = Speaking(1, protocol.stops, temperature)
        self._session = policy.session()
        self._transcripts: dict[int, Transcript] = {}
        letters = LETTERS[:MOST_EXPERTS]
        self._meant: dict[int, str | None] = {
            **{self._first(answer_turn(protocol, name)): None for name in letters},
            **{self._first(call_turn(protocol, name)): name for name in letters},
        }

    def choose(self, cues: Sequence[Cue], rng: Random) -> list[str | None]:
        transcripts = [self._heard(cue) for cue in cues]
        seeds = [rng.randrange(2**31) for _ in cues]
        said = self._session.speak(transcripts, self._how, seeds)
        return [self._choice(cue, turn.ids) for cue, turn in zip(cues, said, strict=True)]

    def _heard(self, cue: Cue) -> Transcript:
        transcript = self._transcripts.setdefault(cue.place, Transcript())
        for text in cue.texts[len(transcript.texts) :]:
            said = len(transcript.texts) % 2
            transcript.read(
                self._policy.spell(text, self._protocol.stops)
                if said
                else self._policy.read("user", text, transcript.ids)
            )
            transcript.texts.append(text)
        return transcript

    def _choice(self, cue: Cue, ids: Sequence[int]) -> str | None:
        worth = cue.advice.worth
        if ids and ids[0] in self._meant and (chosen := self._meant[ids[0]]) in worth:
            return chosen
        return max(worth, key=worth.__getitem__)

    def _first(self, text: str) -> int:
        (token,) = self._policy.spell(text, self._protocol.stops)[:1]
        return token
