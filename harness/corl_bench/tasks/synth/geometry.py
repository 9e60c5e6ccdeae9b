"""Geometry: lengths, angles, areas and volumes."""

from __future__ import annotations

from fractions import Fraction
from math import hypot, isqrt, pi, radians, sin, sqrt
from random import Random

from corl_bench.tasks.synth.families import Draft, family, sympy
from corl_bench.tasks.synth.latex import number, pi_times, point, surd, total

SUBJECT = "Geometry"


@family("rectangle_perimeter", subject=SUBJECT, level=1, answer="integer")
def rectangle_perimeter(rng: Random) -> Draft:
    w, h = sorted(rng.sample(range(2, 100), 2))
    unit = rng.choice(("meters", "feet", "yards"))
    text = rng.choice(
        (
            rf"A rectangle has an area of {w * h} square {unit} and a width of {w} {unit}. What is "
            rf"its perimeter, in {unit}?",
            rf"One side of a rectangle is {h} {unit} long, and the area of the rectangle is "
            rf"{w * h} square {unit}. How many {unit} long is its perimeter?",
            rf"A rectangular garden covers {w * h} square {unit}. If it is {w} {unit} wide, how "
            rf"many {unit} of fence are needed to go once around it?",
        )
    )
    return Draft(
        text,
        2 * (w + h),
        params=(w, h),
        check=lambda: w + h + w * h // w + w * h // h,
        slips=(w + h, w * h, 2 * (w * h + w), w * h + w),
    )


@family("triangle_angle", subject=SUBJECT, level=1, answer="integer")
def triangle_angle(rng: Random) -> Draft | None:
    a, b = sorted((rng.randint(15, 120), rng.randint(15, 120)))
    c = 180 - a - b
    if c < 8 or c in (a, b):
        return None
    x, y, z = rng.choice((("A", "B", "C"), ("P", "Q", "R"), ("X", "Y", "Z"), ("D", "E", "F")))
    text = rng.choice(
        (
            rf"Two angles of a triangle measure ${a}^\circ$ and ${b}^\circ$. How many degrees are "
            r"in the third angle?",
            rf"In triangle ${x}{y}{z}$, $\angle {x} = {a}^\circ$ and $\angle {y} = {b}^\circ$. "
            rf"What is the measure of $\angle {z}$, in degrees?",
            rf"The angles at two corners of a triangular sail are ${a}^\circ$ and ${b}^\circ$. "
            r"Find the angle at the remaining corner, in degrees.",
        )
    )
    return Draft(
        text,
        c,
        params=(a, b),
        check=lambda: next(n for n in range(1, 180) if a + b + n == 180),
        slips=(360 - a - b, 180 - a, 180 - b, a + b, b - a),
    )


@family("right_triangle_side", subject=SUBJECT, level=2, answer="radical")
def right_triangle_side(rng: Random) -> Draft | None:
    a, b = sorted(rng.sample(range(2, 60), 2))
    hypotenuse = rng.random() < 0.5
    square = a * a + b * b if hypotenuse else b * b - a * a
    if isqrt(square) ** 2 == square:
        return None
    if hypotenuse:
        text = rng.choice(
            (
                rf"The legs of a right triangle have lengths {a} and {b}. What is the length of "
                r"the hypotenuse?",
                rf"A rectangle is {a} units wide and {b} units long. How many units long is each "
                r"of its diagonals?",
                rf"In a right triangle, the two shorter sides measure {a} and {b}. Find the length "
                r"of the longest side.",
            )
        )
    else:
        text = rng.choice(
            (
                rf"A right triangle has a hypotenuse of length {b} and one leg of length {a}. What "
                r"is the length of the other leg?",
                rf"A ladder {b} feet long leans against a vertical wall. Its foot is {a} feet from "
                r"the wall. How many feet above the ground does the ladder touch the wall?",
                rf"The diagonal of a rectangle is {b} units long and one side is {a} units long. "
                r"Find the length of an adjacent side.",
            )
        )
    return Draft(
        text + " Express your answer in simplest radical form.",
        surd(1, square),
        params=(a, b, hypotenuse),
        check=lambda: hypot(a, b) if hypotenuse else ((b - a) * (b + a)) ** 0.5,
        slips=(
            surd(1, a * a + b * b if not hypotenuse else b * b - a * a),
            a + b if hypotenuse else b - a,
            surd(1, a + b),
            square,
            surd(2, square),
        ),
    )


@family("ring_area", subject=SUBJECT, level=2, answer="pi")
def ring_area(rng: Random) -> Draft:
    r, big = sorted(rng.sample(range(2, 80), 2))
    text = rng.choice(
        (
            rf"Two concentric circles have radii {r} and {big}. What is the area of the region "
            r"between them?",
            rf"A circular pond with a radius of {r} meters is surrounded by a path whose outer "
            rf"edge is a circle with a radius of {big} meters and the same center. How many square "
            r"meters does the path cover?",
            rf"A disk of radius {r} is cut out of the middle of a disk of radius {big}. Find the "
            r"area of the ring that remains.",
        )
    )
    return Draft(
        text + r" Express your answer in terms of $\pi$.",
        pi_times(big * big - r * r),
        params=(r, big),
        check=lambda: pi * (big - r) * (big + r),
        slips=(
            pi_times((big - r) ** 2),
            pi_times(2 * (big - r)),
            pi_times(big * big + r * r),
            pi_times(big * big),
        ),
    )


@family("round_solid_volume", subject=SUBJECT, level=3, answer="pi")
def round_solid_volume(rng: Random) -> Draft:
    r, h = rng.randint(2, 30), rng.randint(2, 40)
    solid = rng.choice(("cylinder", "cone"))
    factor = Fraction(1) if solid == "cylinder" else Fraction(1, 3)
    value = factor * r * r * h
    thing = "can" if solid == "cylinder" else "paper cup"
    text = rng.choice(
        (
            rf"What is the volume of a right circular {solid} with base radius {r} and height {h}?",
            rf"Find the volume of a right circular {solid} whose base has a diameter of {2 * r} "
            rf"and whose height is {h}.",
            rf"A {thing} has the shape of a right circular {solid} with a radius of {r} "
            rf"centimeters and a height of {h} centimeters. What is its volume, in cubic "
            r"centimeters?",
        )
    )

    def by_integration() -> object:
        x = sympy().Symbol("x")
        radius = sympy().Integer(r) if solid == "cylinder" else sympy().Rational(r, h) * x
        return sympy().integrate(sympy().pi * radius**2, (x, 0, h))

    return Draft(
        text + r" Express your answer in terms of $\pi$.",
        pi_times(value),
        params=(solid, r, h),
        check=by_integration,
        slips=(
            pi_times(Fraction(r * r * h, 3) if factor == 1 else r * r * h),
            pi_times(2 * r * h),
            pi_times(factor * r * h * h),
            pi_times(factor * 4 * r * r * h),
        ),
    )


@family("stadium_perimeter", subject=SUBJECT, level=3, answer="expression")
def stadium_perimeter(rng: Random) -> Draft:
    length, width = rng.randint(2, 120), 2 * rng.randint(1, 40)
    text = rng.choice(
        (
            rf"A running track is the boundary of a rectangle {length} meters long and {width} "
            rf"meters wide together with a semicircle attached outside to each of the two sides of "
            rf"length {width} meters. How many meters long is one lap along the outer boundary?",
            rf"A window has the shape of a rectangle of width {width} and height {length} with one "
            rf"semicircle on top and one below, each with the width of the rectangle as its "
            r"diameter. What is the perimeter of the window?",
            rf"Two semicircles with diameter {width} are attached to opposite sides of a rectangle "
            rf"with side lengths {width} and {length}, outside of it, so that their diameters are "
            rf"the sides of length {width}. Find the perimeter of the resulting figure.",
        )
    )

    def by_polygon() -> float:
        steps = 200_000
        chord = 2 * sin(pi / (2 * steps)) * width / 2
        return 2 * (length + steps * chord)

    return Draft(
        text + r" Express your answer in terms of $\pi$.",
        total(number(2 * length), pi_times(width)),
        params=(length, width),
        check=by_polygon,
        slips=(
            total(number(2 * length + 2 * width), pi_times(width)),
            total(number(2 * length), pi_times(2 * width)),
            total(number(length), pi_times(width)),
            total(number(length * width), pi_times(Fraction(width * width, 4))),
        ),
    )


@family("coordinate_triangle", subject=SUBJECT, level=3, answer="fraction")
def coordinate_triangle(rng: Random) -> Draft | None:
    points = sorted((rng.randint(-9, 9), rng.randint(-9, 9)) for _ in range(3))
    (ax, ay), (bx, by), (cx, cy) = points
    double = abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay))
    if double % 2 == 0 or double < 7:
        return None
    shuffled = points[:]
    rng.shuffle(shuffled)
    p, q, r = (point(*xy) for xy in shuffled)
    text = rng.choice(
        (
            rf"What is the area of the triangle with vertices ${p}$, ${q}$, and ${r}$?",
            rf"A triangle in the coordinate plane has its corners at ${p}$, ${q}$, and ${r}$. Find "
            r"its area.",
            rf"Let $A = {p}$, $B = {q}$, and $C = {r}$. What is the area of triangle $ABC$?",
        )
    )
    return Draft(
        text + " Express your answer as a common fraction.",
        Fraction(double, 2),
        params=tuple(points),
        check=lambda: abs(sympy().Polygon(*points).area),
        slips=(double, Fraction(double + 2, 2), Fraction(double, 4), Fraction(double - 1, 2)),
    )


@family("sector_area", subject=SUBJECT, level=4, answer="pi")
def sector_area(rng: Random) -> Draft:
    r, angle = rng.randint(2, 30), rng.choice([a for a in range(10, 351, 5) if a % 90])
    value = Fraction(angle, 360) * r * r
    text = rng.choice(
        (
            rf"A sector of a circle of radius {r} has a central angle of ${angle}^\circ$. What is "
            r"the area of the sector?",
            rf"A lawn sprinkler reaches {r} meters and turns back and forth through an angle of "
            rf"${angle}^\circ$. How many square meters of lawn does it water?",
            rf"Find the area of a slice with a central angle of ${angle}^\circ$ cut from a "
            rf"circular disk with a diameter of {2 * r}.",
        )
    )
    return Draft(
        text + r" Express your answer in terms of $\pi$.",
        pi_times(value),
        params=(r, angle),
        check=lambda: radians(angle) * r * r / 2,
        slips=(
            pi_times(Fraction(angle, 360) * 2 * r),
            pi_times(Fraction(angle, 180) * r * r),
            pi_times(r * r - value),
            pi_times(Fraction(angle, 360) * r),
        ),
    )


@family("triangle_area", subject=SUBJECT, level=4, answer="radical")
def triangle_area(rng: Random) -> Draft | None:
    sides = _scalene(rng)
    if sides is None:
        return None
    a, b, c = sides
    text = rng.choice(
        (
            rf"What is the area of a triangle with side lengths {a}, {b}, and {c}?",
            rf"The sides of a triangle measure {a}, {b}, and {c} units. How many square units are "
            r"in its area?",
            rf"In triangle $ABC$, $AB = {a}$, $BC = {b}$, and $CA = {c}$. Find the area of the "
            r"triangle.",
        )
    )

    def by_law_of_cosines() -> float:
        cosine = (a * a + b * b - c * c) / (2 * a * b)
        return a * b * sqrt(1 - cosine**2) / 2

    square = _sixteen_area_squared(a, b, c)
    return Draft(
        text + " Express your answer in simplest radical form.",
        surd(Fraction(1, 4), square),
        params=sides,
        check=by_law_of_cosines,
        slips=(
            surd(Fraction(1, 2), square),
            Fraction(a * b, 2),
            surd(1, square),
            surd(Fraction(1, 4 * (a + b + c)), square),
        ),
    )


@family("chord_length", subject=SUBJECT, level=4, answer="radical")
def chord_length(rng: Random) -> Draft | None:
    d, r = sorted(rng.sample(range(2, 60), 2))
    square = r * r - d * d
    if isqrt(square) ** 2 == square:
        return None
    text = rng.choice(
        (
            rf"A chord of a circle of radius {r} is at a distance of {d} from the center. What is "
            r"the length of the chord?",
            rf"In a circle with center $O$ and radius {r}, the midpoint $M$ of chord $AB$ "
            rf"satisfies $OM = {d}$. Find $AB$.",
            rf"A line passes {d} units from the center of a circle with a radius of {r} units. How "
            r"long, in units, is the part of the line that lies inside the circle?",
        )
    )
    return Draft(
        text + " Express your answer in simplest radical form.",
        surd(2, square),
        params=(d, r),
        check=lambda: 2 * r * (1 - (d / r) ** 2) ** 0.5,
        slips=(
            surd(1, square),
            surd(2, r * r + d * d),
            2 * (r - d),
            surd(4, square),
        ),
    )


@family("inscribed_circle", subject=SUBJECT, level=5, answer="radical")
def inscribed_circle(rng: Random) -> Draft | None:
    sides = _scalene(rng)
    if sides is None:
        return None
    a, b, c = sides
    text = rng.choice(
        (
            rf"A circle is inscribed in a triangle with side lengths {a}, {b}, and {c}. What is "
            r"the radius of the circle?",
            rf"In triangle $ABC$, $AB = {a}$, $BC = {b}$, and $CA = {c}$. A circle is tangent to "
            r"all three sides. Find its radius.",
            rf"What is the inradius of the triangle whose sides measure {a}, {b}, and {c}?",
        )
    )

    def by_half_angle() -> float:
        """The inradius is (s - c) tan(C / 2), with C from the law of cosines."""
        cosine = (a * a + b * b - c * c) / (2 * a * b)
        return (a + b - c) / 2 * sqrt((1 - cosine) / (1 + cosine))

    square = _sixteen_area_squared(a, b, c)
    return Draft(
        text + " Express your answer in simplest radical form with a rational denominator.",
        surd(Fraction(1, 2 * (a + b + c)), square),
        params=sides,
        check=by_half_angle,
        slips=(
            surd(Fraction(1, 4 * (a + b + c)), square),
            surd(Fraction(1, a + b + c), square),
            surd(Fraction(1, 4), square),
            surd(Fraction(a * b * c, square), square),
        ),
    )


@family("circumscribed_circle", subject=SUBJECT, level=5, answer="radical")
def circumscribed_circle(rng: Random) -> Draft | None:
    sides = _scalene(rng)
    if sides is None:
        return None
    a, b, c = sides
    text = rng.choice(
        (
            rf"A circle passes through all three vertices of a triangle with side lengths {a}, "
            rf"{b}, and {c}. What is the radius of the circle?",
            rf"Find the circumradius of the triangle whose sides measure {a}, {b}, and {c}.",
            rf"Triangle $ABC$ with $AB = {a}$, $BC = {b}$, and $CA = {c}$ is inscribed in a "
            r"circle. What is the radius of this circle?",
        )
    )

    def by_law_of_sines() -> float:
        cosine = (a * a + b * b - c * c) / (2 * a * b)
        return c / (2 * sqrt(1 - cosine**2))

    square = _sixteen_area_squared(a, b, c)
    return Draft(
        text + " Express your answer in simplest radical form with a rational denominator.",
        surd(Fraction(a * b * c, square), square),
        params=sides,
        check=by_law_of_sines,
        slips=(
            surd(Fraction(2 * a * b * c, square), square),
            surd(Fraction(a * b * c, 2 * square), square),
            surd(Fraction(1, 2 * (a + b + c)), square),
            Fraction(c, 2),
        ),
    )


@family("circular_segment", subject=SUBJECT, level=5, answer="expression")
def circular_segment(rng: Random) -> Draft | None:
    a, angle = rng.randint(2, 250), rng.choice((30, 45, 60, 90, 120, 135, 150))
    sector = Fraction(angle, 360) * a * a
    # The segment is the sector less a triangle of area (a^2 / 2) sin(angle).
    radicand = {30: 1, 45: 2, 60: 3, 90: 4}[min(angle, 180 - angle)]
    triangle = surd(Fraction(-a * a, 4), radicand)
    form = ", in simplest radical form" if radicand in (2, 3) else ""
    text = rng.choice(
        (
            rf"A chord of a circle of radius {a} subtends a central angle of ${angle}^\circ$. What "
            r"is the area of the smaller region between the chord and the circle?",
            rf"Points $A$ and $B$ lie on a circle with center $O$ and radius {a}, and "
            rf"$\angle AOB = {angle}^\circ$. Find the area of the region bounded by segment $AB$ "
            r"and the minor arc $AB$.",
            rf"A circular sheet of metal with a radius of {a} inches is cut along a straight line "
            rf"between two points of its edge that are ${angle}^\circ$ apart, as seen from the "
            r"center. How many square inches does the smaller piece cover?",
        )
    )

    def by_integration() -> float:
        """Slices parallel to the chord, 2a sin(t) wide at the distance a cos(t) (midpoints)."""
        steps = 20_000
        dt = radians(angle) / 2 / steps
        return sum(2 * (a * sin((k + 0.5) * dt)) ** 2 * dt for k in range(steps))

    return Draft(
        text + rf" Express your answer in terms of $\pi${form}.",
        total(pi_times(sector), triangle),
        params=(a, angle),
        check=by_integration,
        slips=(
            total(pi_times(2 * sector), triangle),
            pi_times(sector),
            total(pi_times(sector), surd(Fraction(-a * a, 2), radicand)),
            total(pi_times(a * a - sector), triangle),
            total(pi_times(sector), triangle[1:]),
        ),
    )


def _scalene(rng: Random) -> tuple[int, int, int] | None:
    """Three sides, ascending, of a triangle whose area is irrational."""
    a, b, c = sorted(rng.sample(range(3, 40), 3))
    if a + b <= c:
        return None
    square = _sixteen_area_squared(a, b, c)
    return None if isqrt(square) ** 2 == square else (a, b, c)


def _sixteen_area_squared(a: int, b: int, c: int) -> int:
    """Heron's formula without its fractions: 16 times the square of the area."""
    return (a + b + c) * (-a + b + c) * (a - b + c) * (a + b - c)
