"""What a training run is: a recipe's TOML, checked, with every default written out.

These are the tables of the embedded trainer; those of recipes that OpenRLHF trains on a cluster
stand in `corl_train.openrlhf.recipe`, and `recipe_file` reads both. A recipe says
what differs from the defaults; the run's directory keeps the whole of it as `config.json`, so that
a run can be read without the version that made it. What the CoRL paper does not state (dollars of
the budgets, prompts, learning rates) is our choice, and is marked in the recipes.

    config = load_recipe("quickstart", settings=["training.iterations=10"])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import parse_usd
from corl_train.recipe_file import Table, parse_recipe, read_recipe


class DataTable(Table):
    """Problems, experts, and how the controller talks to them."""

    train: str = "synth:train"
    validation: str = "synth:validation"
    """Chooses the best checkpoint; never a split that results are reported on."""
    test: str = "synth:test"
    pool: str = "sim"
    budgets: str | None = None
    """As after `--budget`; None takes those that the pool names."""
    protocol: str = "digest"
    answers: Literal["protocol", "golds"] = "protocol"
    """Of what form an expert's answer has to be: as the protocol says, or `golds`: whole numbers,
    if 99 of 100 golds of the training split are."""
    subjects: tuple[str, ...] = ()
    """Subjects that are trained and validated on; empty: all."""
    without_subjects: tuple[str, ...] = ()
    """Subjects that are neither trained nor validated on; `corl-train study transfer` shows what
    the controller does there."""
    decontaminate: tuple[str, ...] = ()
    """Sets besides `test` whose problems are left out of the training ones, in whatever words they
    stand there; see `corl_bench.tasks.overlap`."""
    verdicts: Literal["ours", "recorded"] = "ours"
    """Who judges: our grader, or the verdict that a reply was imported with, where the answer is
    such a reply."""
    spend: Literal["each", "mean"] = "each"
    """Whether a budget is the most that an episode may cost, or what episodes cost on average."""

    @model_validator(mode="after")
    def _check_subjects(self) -> Self:
        if self.subjects and self.without_subjects:
            raise ValueError("set subjects or without_subjects, not both")
        return self

    def has_subject(self, subject: str | None) -> bool:
        """Whether problems of a subject (or of none) are trained on."""
        if self.subjects:
            return subject in self.subjects
        return subject not in self.without_subjects


class TinyTable(Table):
    """The controller is a small transformer that begins with nothing."""

    kind: Literal["tiny"] = "tiny"
    width: int = Field(default=64, ge=16)
    depth: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    context: int = Field(default=384, ge=64)
    words: int = Field(default=400, ge=0)
    """Commonest words of the training problems that are one token each."""
    usd_per_mtok: str = "0.000002"
    """Stated price of the controller's own tokens, read or said. The default is the simulated
    7B's output price ($0.1) times 0.15 M over 7,000 M parameters."""

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % (2 * self.heads):
            # Rotary positions turn pairs of a head's figures.
            raise ValueError(f"width is a multiple of twice the heads, {2 * self.heads}")
        return self


class HuggingFaceTable(Table):
    """The controller is a causal language model; see `corl_train.policies.huggingface`."""

    kind: Literal["huggingface"]
    path: str = Field(min_length=1)
    """Directory with config.json, weights, tokenizer and chat template."""
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    context: int | None = Field(default=None, ge=64)
    """None: the model's own."""
    gradient_checkpointing: bool = False
    lora_rank: int = Field(default=0, ge=0)
    """0 trains all parameters."""
    lora_alpha: float = Field(default=32.0, gt=0)
    lora_targets: tuple[str, ...] = ()
    """Names of layers; empty: all linear ones but the head."""
    usd_per_mtok: str
    """Stated price of the controller's own tokens, read or said."""


def _by_kind(*kinds: str) -> Discriminator:
    """Chooses a table by its `kind`; one that names none is of the first."""

    def kind_of(table: object) -> str | None:
        kind = table.get("kind", kinds[0]) if isinstance(table, dict) else getattr(table, "kind", 0)
        return kind if isinstance(kind, str) else None

    *others, last = (f'"{kind}"' for kind in kinds)
    return Discriminator(
        kind_of,
        custom_error_type="kind",
        custom_error_message=f"kind is {', '.join(others)} or {last}",
    )


PolicyTable = Annotated[
    Annotated[TinyTable, Tag("tiny")] | Annotated[HuggingFaceTable, Tag("huggingface")],
    _by_kind("tiny", "huggingface"),
]
"""The model inside the controller; a table that names no kind is a tiny one's."""


class WarmStartTable(Table):
    """Supervised learning of the protocol."""

    episodes: int = Field(default=3072, ge=0)
    plays: Literal["counsel", "plan"] = "counsel"
    """`plan` asks every expert once about each training problem, and teaches the best plan against
    how their answers hang together, at a price of dollars for each budget; see
    `corl_train.warmstart.advice`. It takes `data.spend = "mean"`."""
    drawn_share: float = Field(default=0.5, ge=0, le=1)
    """With `plan`: how many of the episodes are about problems that are drawn from what was learned
    of the experts; the others are about training problems, as they are worded, with the replies
    that they got. A drawn problem has no statement, and its answers are numbers; whoever reads
    either is better off with 0."""
    stop_rate: float = Field(default=0.15, ge=0, le=1)
    """How often the demonstrator answers when it could, and no two experts agree."""
    agreed_stop_rate: float = Field(default=0.8, ge=0, le=1)
    """How often it answers when two do."""
    again_weight: float = Field(default=0.1, gt=0, le=1)
    """Weight of asking an expert again that has answered, against 1 of asking another."""
    counsel_weight: float = Field(default=0.0, ge=0, lt=1)
    """How much of what whole episodes teach is what experts' records and costs speak for, see
    `corl_train.warmstart.counsel`; the rest is random play."""
    counsel_heat: float = Field(default=0.03, gt=0)
    """Worth, in probability of a right answer, by which a choice is e times as likely."""
    counsel_caution: float = Field(default=0.0, ge=0)
    """Worth that breaking the budget takes away, beside the answer that counts for nothing then."""
    learning_rate: float = Field(default=2e-3, gt=0)
    optimiser: Literal["adamw", "muon"] = "adamw"
    """`muon` makes the steps of weight matrices orthogonal, and as large as AdamW's would be (K.
    Jordan et al., 2024; J. Liu et al., arXiv 2502.16982); all else has AdamW. It takes a policy
    that begins from nothing."""
    minibatch: int = Field(default=32, ge=1)
    bare_epochs: int = Field(default=20, ge=0)
    """At most so many over episodes without their statements, until the skills are there."""
    epochs: int = Field(default=3, ge=0)
    """Over whole episodes, with what they earned for the critic. With `plan`: over each round of
    rehearsals, which are then forgotten."""
    rehearsals: int = Field(default=0, ge=0)
    """How often, behind the demonstrations, the policy plays by itself and is told what it should
    rather have done in the states that it has come to; takes counsel."""
    own_share: float = Field(default=0.6, ge=0, le=1)
    """With `plan`: share of the episodes that the policy plays itself, behind a first quarter; half
    of these greedily."""
    rehearsal_episodes: int = Field(default=512, ge=1)
    """Of one rehearsal."""
    reading_weight: float = Field(default=0.5, ge=0)
    """Of telling subjects, right experts and calls that the budget has room for; 0 leaves it to
    the rewards."""
    value_weight: float = Field(default=0.5, ge=0)
    """Of the critic's error: what random play earns is known before it is improved."""
    follows_majority: float = Field(default=0.95, ge=0, le=1)
    """The skill: of held-out episodes with a majority, how many answers go with it."""
    speaks_validly: float = Field(default=0.99, ge=0, le=1)
    """The skill: probability that a turn is one that the protocol allows."""

    @model_validator(mode="after")
    def _check_rehearsals(self) -> Self:
        if self.rehearsals and not self.counsel_weight:
            raise ValueError("rehearsals teach what counsel says: set counsel_weight, too")
        if self.plays == "plan" and self.episodes and not self.epochs:
            raise ValueError("epochs is 0, and a plan is taught in whole episodes: set 1 or more")
        return self


class GateTable(Table):
    """CoRL's reward: a right answer within the budget; see `corl_train.rewards.Gate`."""

    kind: Literal["gate"] = "gate"
    fines: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Of breaking each of the budgets, in their order, beyond the answer that counts for nothing
    then; none where none is said, and CoRL has none."""


class SoftTable(Table):
    """xRouter's reward; see `corl_train.rewards.Soft`."""

    kind: Literal["soft"]
    per_usd: float = Field(default=50.0, ge=0)
    """What a dollar takes away from a right answer's 1."""
    most: float = Field(default=0.9, ge=0, le=1)
    """The most that cost can take away."""


class LinearTable(Table):
    """BaRP's reward; see `corl_train.rewards.Linear`."""

    kind: Literal["linear"]
    weight: float = Field(default=0.8, ge=0, le=1)
    """Of a right answer; the rest is the cost's."""
    scale_usd: float = Field(default=0.02, gt=0)
    """Dollars from which on an episode costs no more than all."""


class MeanTable(Table):
    """A right answer less what it cost at its budget's price; see `corl_train.rewards.Mean`.

    The prices come from `warm_start.plays = "plan"`.
    """

    kind: Literal["mean"]
    most: float = Field(default=4.0, gt=0)
    """The most that cost can take away; what is spent beyond it is free."""


class PercentileTable(Table):
    """Router-R1's reward; see `corl_train.rewards.Percentile`."""

    kind: Literal["percentile"]
    alpha: float = Field(default=0.5, ge=0, le=1)
    """Weight of the cost."""


RewardTable = Annotated[
    Annotated[GateTable, Tag("gate")]
    | Annotated[SoftTable, Tag("soft")]
    | Annotated[LinearTable, Tag("linear")]
    | Annotated[PercentileTable, Tag("percentile")]
    | Annotated[MeanTable, Tag("mean")],
    _by_kind("gate", "soft", "linear", "percentile", "mean"),
]
"""What an episode is worth; a table that names no kind is the gate."""


class TrainingTable(Table):
    """PPO, or GRPO, with its schedule from the first iteration to the last."""

    estimator: Literal["ppo", "grpo"] = "ppo"
    iterations: int = Field(default=60, ge=0)
    episodes: int = Field(default=512, ge=1)
    """Of one iteration."""
    samples: int = Field(default=1, ge=1)
    """Episodes of one problem at one budget, a group; GRPO needs several."""
    budget_weights: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """How many groups in turn try each of the budgets, in their order; one where none is said."""
    share_replies: bool = False
    """The episodes of a group meet the same replies of simulated and recorded experts, so that
    they differ by the controller's choices alone. In PPO what the others of the group have
    earned is then taken out of an episode's advantages."""
    opening_rate: float = Field(default=0.0, ge=0, lt=1)
    """Share of the groups whose first turns the reference says, one to all but the last one that
    may call: what to do in states that the policy would not come to by itself is learned too, so
    that coming to them can turn out to be better."""
    epochs: int = Field(default=3, ge=1)
    minibatch: int = Field(default=64, ge=1)
    """Episodes of one step of the optimiser."""
    micro_batch: int = Field(default=32, ge=1)
    """Episodes that are scored at once, as many as memory or a core's cache holds; gradients of
    a minibatch are accumulated over them."""
    learning_rate: float = Field(default=1e-3, gt=0)
    last_learning_rate: float = Field(default=1e-4, gt=0)
    clip: float = Field(default=0.2, gt=0)
    value_clip: float = Field(default=0.2, gt=0)
    value_weight: float = Field(default=0.5, ge=0)
    entropy_weight: float = Field(default=0.0, ge=0)
    answer_weight: float = Field(default=0.0, ge=0)
    """Of telling which of the replies that it could have pointed at are right; see
    `corl_train.pointing`. 0 leaves it to the rewards."""
    kl: Literal["loss", "reward", "none"] = "loss"
    kl_estimator: Literal["exact", "k2", "k3"] = "exact"
    """Of the loss: `exact` is over the whole vocabulary, the others of the sampled token alone.
    In the reward it is k1."""
    kl_weight: float = Field(default=0.2, ge=0)
    last_kl_weight: float = Field(default=0.003, ge=0)
    """The weight falls from the first to the last geometrically."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    lam: float = Field(default=1.0, ge=0, le=1)
    over: Literal["skip", "walk"] = "skip"
    """Whether advantages skip the tokens that the controller has read, or walk through them."""
    mask_experts: bool = True
    """False trains on the experts' tokens too; for the ablation."""
    max_grad_norm: float = Field(default=0.5, gt=0)

    @model_validator(mode="after")
    def _check_minibatch(self) -> Self:
        rest = self.minibatch % self.micro_batch
        if self.minibatch > self.micro_batch and rest:
            raise ValueError(
                f"minibatch {self.minibatch} is no multiple of micro_batch {self.micro_batch}:"
                f" set it to {self.minibatch - rest}"
            )
        return self

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        # GRPO compares an episode with the others of its group: alone it would teach nothing.
        if self.estimator == "grpo" and self.samples == 1:
            raise ValueError("estimator grpo compares samples of one problem: set samples above 1")
        if self.estimator == "grpo" and self.episodes % self.samples == 1:
            raise ValueError(
                f"{self.episodes} episodes in groups of {self.samples} samples leave one alone:"
                f" set episodes to a multiple of {self.samples}"
            )
        return self


class ScheduleTable(Table):
    """What happens every so often."""

    validate_every: int = Field(default=5, ge=1)
    validation_problems: int = Field(default=360, ge=1)
    checkpoint_every: int = Field(default=5, ge=1)
    keep: Literal["best", "last"] = "best"
    """Which controller is left in the end. Where there are too few problems to tell checkpoints
    apart, the best one on a validation split is a lucky one."""


class VarietyTable(Table):
    """Pools and budgets that are others in every episode; see `corl_train.variety`."""

    least_usd: str = "0.0006"
    largest_usd: str = "0.02"
    held_out_usd: tuple[str, ...] = ()
    """Amounts that no episode of the training has; `corl-train study budget-sweep` plays them."""
    family: int = Field(default=100, ge=0)
    """Simulated experts drawn around those of the pool."""
    base_rate: float = Field(default=0.4, ge=0, le=1)
    """Share of a drawn pool's experts that are the pool's own; the rest is of the family."""
    fewest: int = Field(default=2, ge=1)
    most: int = Field(default=6, ge=1, le=8)
    """Experts of a drawn pool."""
    price_factor: float = Field(default=3.0, ge=1)
    """By how much prices vary, up and down."""
    trials: int = Field(default=400, ge=1)
    """Problems of each subject that a card is measured on."""
    rehearsals: int = Field(default=48_000, ge=0)
    """Conversations of the warm start, see `corl_train.variety.rehearsals`."""
    own_share: float = Field(default=0.6, ge=0, le=1)
    """Share of the later rehearsals that the policy plays itself."""
    rehearsals_a_pool: int = Field(default=12, ge=1)
    heat: float = Field(default=0.015, gt=0)
    """Worth by which a turn is to be e times as probable, in what rehearsals teach."""
    wildness: float = Field(default=0.3, ge=0, le=0.5)
    """Share of the turns of rehearsals that are drawn from all that is allowed."""
    pools: int = Field(default=32, ge=1)
    """Pools of one iteration of training."""

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.fewest > self.most:
            raise ValueError(f"fewest is {self.fewest}, and most {self.most}: a pool has no size")
        return self

    @model_validator(mode="after")
    def _check_amounts(self) -> Self:
        named = [(f"held_out_usd: {usd}", usd) for usd in self.held_out_usd]
        amounts = []
        for name, usd in (("least_usd", self.least_usd), ("largest_usd", self.largest_usd), *named):
            try:
                amounts.append(parse_usd(usd))
            except ConfigError as error:
                raise ValueError(f"{name}: {error}") from None
        least, largest, *_ = amounts
        if not 0 < least < largest:
            raise ValueError(
                f"least_usd is {self.least_usd}, and largest_usd {self.largest_usd}: budgets are"
                " drawn between them"
            )
        return self


class Config(Table):
    """A whole training run but for its seed."""

    name: str
    data: DataTable = DataTable()
    policy: PolicyTable = TinyTable()
    warm_start: WarmStartTable = WarmStartTable()
    reward: RewardTable = GateTable()
    training: TrainingTable = TrainingTable()
    schedule: ScheduleTable = ScheduleTable()
    variety: VarietyTable | None = None
    """None: one pool at the budgets that are named."""

    @model_validator(mode="after")
    def _check_spend(self) -> Self:
        is_planned = self.warm_start.plays == "plan" and self.warm_start.episodes > 0
        if self.warm_start.plays == "plan" and self.data.spend == "each":
            raise ValueError(
                'warm_start.plays = "plan" is for budgets on average: set data.spend=mean'
            )
        is_drawn = is_planned and self.warm_start.drawn_share > 0
        if is_drawn and self.policy.kind == "huggingface":
            raise ValueError(
                "problems that a plan draws have no words, which a language model reads: set"
                " warm_start.drawn_share=0"
            )
        if self.warm_start.optimiser == "muon" and self.policy.kind == "huggingface":
            raise ValueError(
                "muon teaches policies that begin from nothing: set warm_start.optimiser=adamw"
            )
        if self.reward.kind == "mean" and not is_planned:
            raise ValueError("reward mean takes its prices from a plan: set warm_start.plays=plan")
        return self


def load_recipe(name_or_path: str, *, settings: Sequence[str] = ()) -> Config:
    """A recipe of the embedded trainer, by name or as a file.

    Args:
        name_or_path: `quickstart`, or the path of a TOML file.
        settings: what to change, as in `training.iterations=10`.

    Raises:
        ConfigError: there is none, or it says what no recipe may say; one line.
    """
    data = read_recipe(name_or_path, Config, backend="embedded", settings=settings)
    return parse_config(data, name_or_path)


def parse_config(data: dict[str, Any], source: str) -> Config:
    """Checks the tables of a recipe of the embedded trainer.

    Raises:
        ConfigError: the first mistake, with its place.
    """
    return parse_recipe(Config, data, source)
