"""Files that lm-eval and inspect write here and now, where they are installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from corl_bench.results import read_episodes, read_summary

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("log_format", ["eval", "json"])
def test_a_log_that_inspect_writes(tmp_path: Path, call: Call, log_format: str) -> None:
    inspect_ai = pytest.importorskip("inspect_ai", reason="inspect-ai is not installed")
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate, solver

    def answer(messages: list, tools: object, choice: object, config: object) -> ModelOutput:  # type: ignore[type-arg]
        output = ModelOutput.from_content("mockllm/model", "The answer is 4")
        output.usage = ModelUsage(input_tokens=12, output_tokens=5, total_tokens=17)
        return output

    @solver
    def fragile():  # type: ignore[no-untyped-def]
        async def solve(state, generate):  # type: ignore[no-untyped-def]
            if state.sample_id == "broken":
                raise ValueError("the solver broke")
            return await generate(state)

        return solve

    names = {"right": "4", "wrong": "7", "broken": "4"}
    samples = [Sample(id=name, input=f"{name}: 2 + 2?", target=t) for name, t in names.items()]
    task = inspect_ai.Task(
        dataset=samples, solver=[fragile(), generate()], scorer=match(), epochs=2, name="quiz"
    )
    (log,) = inspect_ai.eval(
        task,
        model=get_model("mockllm/model", custom_outputs=answer),
        log_dir=str(tmp_path / "logs"),
        log_format=log_format,
        display="none",
        fail_on_error=False,
    )
    assert log.status == "success"
    run = tmp_path / "run"
    code, said, _ = call("import", "inspect", tmp_path / "logs", "--out", run)
    assert code == 0, said
    verdicts = {(e.problem_id, e.sample): e.verdict for e in read_episodes(run)}
    assert verdicts == {
        (name, epoch): verdict
        for name, verdict in (("right", "correct"), ("wrong", "wrong"), ("broken", "error"))
        for epoch in (0, 1)
    }
    calls = {(e.problem_id, len(e.calls)) for e in read_episodes(run)}
    assert calls == {("right", 1), ("wrong", 1), ("broken", 0)}  # it broke before it asked
    (point,) = read_summary(run).rows
    assert point.accuracy == pytest.approx(log.results.scores[0].metrics["accuracy"].value * 2 / 3)
    assert (point.system, point.errors) == ("mockllm/model", 2)


def test_samples_that_lm_eval_logs(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    from lm_eval.api.model import LM
    from lm_eval.evaluator import evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager, get_task_dict

    class Fixed(LM):  # type: ignore[misc]
        def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:  # type: ignore[type-arg]
            return ["It is 4" for _ in requests]

        def loglikelihood(self, requests: list) -> list:  # type: ignore[type-arg]
            raise NotImplementedError

        loglikelihood_rolling = loglikelihood

    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    rows = [{"problem": "2 + 2?", "answer": "It is 4"}, {"problem": "3 + 3?", "answer": "It is 6"}]
    data = tmp_path / "quiz.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/quiz.yaml").write_text(
        f"task: quiz\ndataset_path: json\ndataset_kwargs:\n  data_files: {{test: {data}}}\n"
        "output_type: generate_until\ntest_split: test\ndoc_to_text: '{{problem}}'\n"
        "doc_to_target: '{{answer}}'\ngeneration_kwargs: {until: ['.']}\n"
        "metric_list:\n  - metric: exact_match\n"
    )
    tracker = EvaluationTracker(output_path=str(tmp_path / "results"))
    manager = TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False)
    tasks = get_task_dict(["quiz"], manager)
    results = evaluate(lm=Fixed(), task_dict=tasks, log_samples=True, bootstrap_iters=0)
    samples = results.pop("samples")
    tracker.general_config_tracker.model_name = "fixed"
    tracker.general_config_tracker.model_name_sanitized = "fixed"
    tracker.save_results_aggregated(results=results, samples=samples)
    tracker.save_results_samples(task_name="quiz", samples=samples["quiz"])
    run = tmp_path / "run"
    code, said, _ = call("import", "lm-eval", tmp_path / "results", "--out", run)
    assert code == 0, said
    (point,) = read_summary(run).rows
    assert (point.system, point.task) == ("fixed", "quiz")
    assert point.accuracy == results["results"]["quiz"]["exact_match,none"] == 0.5
    assert point.cost_basis == "opaque"
