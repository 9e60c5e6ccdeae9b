"""What a controller earns at each budget, and how much of the exact optimum that is.

On a simulated pool the best possible policy is known (`corl-bench pool optimum`), and so is what
policies earn that need no learning: always one expert, never calling, ignoring the budget. The
optimum is that of the very problems that are asked, so which problems they are is no source of
error; the interval speaks of the draws alone.

    with open_run(Path("runs/quickstart")) as (environment, budgets):
        evaluation = evaluate(environment, budgets, samples=12)
    evaluation.budgets[0].fraction      # of the optimum; `table.describe` writes all of it
"""

from corl_train.evaluation.judgement import Contrast, Evaluation, Judged
from corl_train.evaluation.running import evaluate, open_run, play
from corl_train.evaluation.scores import BudgetScore

__all__ = [
    "BudgetScore",
    "Contrast",
    "Evaluation",
    "Judged",
    "evaluate",
    "judge",
    "open_run",
    "play",
]
