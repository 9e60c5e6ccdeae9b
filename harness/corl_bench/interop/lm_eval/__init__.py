"""lm-eval with our systems as its model, and our tasks as its tasks.

`command` is `corl-lm-eval`: lm-eval's own command line with the model `corl` registered. `model`
is that model, the one module that imports lm-eval; `settings` reads its `--model_args`,
`questions` what lm-eval asks, `session` answers it through the ledger, `costs` says what it
came to. `rows` gives the YAMLs in `tasks/` their rows. docs/lm-eval.md tells it to users.

    corl-lm-eval --model corl --model_args system=cascade:nano>mini>large --tasks corl_synth
"""
