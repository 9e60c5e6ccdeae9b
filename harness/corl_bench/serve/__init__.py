"""A routing system as an OpenAI-compatible endpoint.

`app` speaks HTTP, `service` runs the requests, `exchange` is one of them as an episode, `books`
keeps the money of a directory, `accounts` and `keys` say who may spend how much. What a request
costs is metered exactly as in a run: same caller, journal, ledger and cap.

    corl-bench serve --system controller:runs/corl --pool pool.toml --keys keys.toml --out served
"""
