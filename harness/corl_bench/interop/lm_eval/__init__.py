"""lm-eval with our systems as its model, and our tasks as its tasks.

`corl_bench.cli.lm_eval` is `corl-lm-eval`: lm-eval's own command line with the model `corl`
registered. `model` is that model; `settings` reads its `--model_args`, `questions` what lm-eval
asks, `session` answers it through the ledger, `costs` says what it came to. `task_folders` shows
lm-eval our tasks, and `rows` gives their YAMLs in `tasks/` their rows. Only `model` and
`task_folders` import lm-eval. docs/lm-eval.md tells it to users.

    corl-lm-eval --model corl --model_args system=cascade:nano>mini>large --tasks corl_synth
"""
