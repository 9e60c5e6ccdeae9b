"""The questions of `questions.py` by lm-eval, without its catalogue of tasks.

Its own command reads every task that it has first, which takes longer than a thousand calls;
`include_defaults=False` leaves that out, which only a program can say.

    python benchmarks/speed/lm_eval_questions.py http://127.0.0.1:8000 64 FOLDER

with `questions.yaml` in FOLDER, where results and samples are written too.
"""

from __future__ import annotations

import sys

from lm_eval import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

if __name__ == "__main__":
    url, in_flight, folder = sys.argv[1:]
    tracker = EvaluationTracker(output_path=f"{folder}/out")
    results = simple_evaluate(
        model="local-chat-completions",
        model_args=f"model=m,base_url={url}/v1/chat/completions,num_concurrent={in_flight}",
        tasks=["questions"],
        task_manager=TaskManager(include_defaults=False, include_path=folder),
        apply_chat_template=True,
        log_samples=True,
        evaluation_tracker=tracker,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task, rows in samples.items():
        tracker.save_results_samples(task_name=task, samples=rows)
