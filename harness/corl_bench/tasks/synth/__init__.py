r"""Our own problems, generated: seven MATH subjects, AMC style and AIME style, by template.

Invariant: a split is a pure function of (split, seed), the same in every process and on every
platform, and no two splits share an instance, however it is worded. Text alone tells a reader
the family, and with it the subject and the level.

    >>> problem = generate("test", count=1)[0]
    >>> problem.id, problem.subject in SUBJECTS
    ('synth/test/00000', True)

Adding a family takes one function in the module of its subject:

    @family("cube_surface", subject=SUBJECT, level=2, answer="integer")
    def cube_surface(rng: Random) -> Draft:
        a = rng.randint(2, 3000)
        text = rng.choice(
            (
                rf"What is the surface area of a cube with edges of length {a}?",
                rf"A cube has edges {a} units long. Find the total area of its faces.",
                rf"How many square inches of paper cover a cube with {a}-inch edges?",
            )
        )
        return Draft(
            text,
            6 * a * a,
            params=(a,),
            check=lambda: sum(a * a for _ in range(6)),
            slips=(a**3, 4 * a * a, 6 * a),
        )

What it must keep to, and what the tests hold it to:

* **Numbers first, wording last.** Draw the parameters, then `rng.choice` among three or more
  wordings. Return `None` where the numbers make no good problem; draws are cheap.
* **`params` is the instance without its wording**, in canonical order: sort what may be swapped
  (two addends, the sides of a triangle). It decides the split, so it must leave names and phrasing
  out and everything that changes the answer in. Allow some thousands of instances.
* **One cell.** No other (subject, level) may use the same sentence. State the form of the answer
  where a reader could doubt it.
* **Exact by construction.** Whole numbers, `Fraction` and the renderers of `latex`, no floats and
  no solver: generating must stay fast. `check` is the place for brute force, numbers and sympy; it
  runs in the tests only, and must not repeat the formula.
* **`slips`** are what people get wrong there; simulated experts answer with them.
* The digests in `tests/tasks/synth/test_stream.py` change; say so in the changelog.
"""

from corl_bench.tasks.synth.families import SUBJECTS, Draft, Family, family
from corl_bench.tasks.synth.stream import (
    DEFAULT_COUNTS,
    FAMILIES,
    SLOTS,
    SPLITS,
    generate,
    iterate,
    split_of,
)

__all__ = [
    "DEFAULT_COUNTS",
    "FAMILIES",
    "SLOTS",
    "SPLITS",
    "SUBJECTS",
    "Draft",
    "Family",
    "family",
    "generate",
    "iterate",
    "split_of",
]
