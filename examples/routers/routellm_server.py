"""RouteLLM's OpenAI-compatible server on loopback, with MiniLM and weights of one's own.

In the virtualenv of routellm_router.py, and in this folder, with weights from routellm_fit.py; the
two servers each in a terminal of its own:

    corl-bench pool serve sim --port 8130 --pool-out served.toml
    /opt/routellm/bin/python routellm_server.py --routers mf --config mf/routellm.yaml --base-url http://127.0.0.1:8130/v1 --api-key unused --strong-model openai/large --weak-model openai/nano --port 8131
    corl-bench run --pool served.toml --limit 60 --max-cost 5 -s endpoint:routellm_endpoint.toml -s "single:*"

Options are its own. The threshold stands in the model's name that the endpoint file asks for,
`router-mf-0.65`. Its own start listens on every address of the machine; here it is loopback alone.
"""  # noqa: E501 (a command is one line)

from __future__ import annotations

import sys

import uvicorn
from routellm_router import check_weights, prepare


def main() -> None:
    """Reads its command line, which it does when it is imported, and serves."""
    settings = {}
    if "--config" in sys.argv:
        settings = prepare(sys.argv[sys.argv.index("--config") + 1])
    from routellm import openai_server
    from routellm.routers.routers import ROUTER_CLS

    if "mf" in openai_server.args.routers:
        check_weights(ROUTER_CLS["mf"](**settings["mf"]), settings["mf"]["checkpoint_path"])
    uvicorn.run(openai_server.app, host="127.0.0.1", port=openai_server.args.port)


if __name__ == "__main__":
    main()
