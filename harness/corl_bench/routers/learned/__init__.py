"""Routers learned from recordings, as honest rivals of a trained controller.

`corl-bench fit` reads a training split's recordings (`examples`), turns texts into vectors
(`tfidf`, `embedding`), fits a model (`neighbours`, `linear`, `chains`, put together by `fitting`)
and writes a folder (`saved`); `router` makes systems of it. scikit-learn is needed to fit, not to
route.
"""
