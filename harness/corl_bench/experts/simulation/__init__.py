"""The simulated pool: experts whose every probability is declared, and the best policy for them.

Invariant: the replies that are drawn and the optimum that is computed read one and the same
table (`tables`) through one and the same list of outcomes (`draws.outcomes`). Whatever a
trained controller reaches here is therefore a fraction of something that is known exactly.

`provider` answers in process, `server` over HTTP, `optimum` computes the yardstick. All of it
is simulated; no figure that comes out of it says anything about a real model.
"""
