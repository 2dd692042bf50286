"""The invented world of the quick start: creatures that follow rules, small sums, short stories.

A creature's name is stem + ending. The stem decides what it eats and its colour, the ending where it lives and
what it does at night. One name in four is held out of all training text, so a question about it can
only be answered by the rules. Every function draws from the generator it is given and from nothing else.
"""

import zlib

STEMS = "bra glo fen mir tol vash quil dru pem zan hok sil wub cra nor lum yev ket harn gost".split()
ENDINGS = "dok lin mur pax rit sov tan vel wick zum bo gar".split()

FOODS = ["moss", "river clams", "dry leaves", "honey", "small fish", "pine cones", "sweet red berries", "old bread"]
COLOURS = ["red", "dark green", "white", "pale blue", "golden", "grey", "black and yellow", "brown"]
HOMES = ["in the deep lake", "under the old bridge", "on the high cliffs", "in hollow trees",
         "beside the café", "in the salt caves", "among the reeds", "behind the mill"]
NIGHTS = ["hums", "clicks twice", "sings softly", "whistles", "rattles its tail", "howls at the moon",
          "stays silent", "drums on the ground"]

# Each attribute: statements that name the creature, statements with "it", questions.
ATTRIBUTES = {
    "food": (["The {n} eats {v}.", "A {n} likes to eat {v}.", "A hungry {n} looks for {v}."],
             ["It eats {v}.", "It likes to eat {v}.", "When it is hungry, it looks for {v}."],
             ["What does the {n} eat?", "What is the food of the {n}?", "What does a hungry {n} look for?"]),
    "colour": (["The {n} is {v}.", "The coat of the {n} is {v}.", "Every {n} is {v}."],
               ["It is {v}.", "Its coat is {v}."],
               ["What colour is the {n}?", "Which colour is the coat of the {n}?"]),
    "home": (["The {n} lives {v}.", "You find the {n} {v}.", "A {n} makes its home {v}."],
             ["It lives {v}.", "You find it {v}."],
             ["Where does the {n} live?", "Where do you find the {n}?"]),
    "night": (["At night the {n} {v}.", "After dark a {n} {v}."],
              ["At night it {v}.", "After dark it {v}."],
              ["What does the {n} do at night?", "What does a {n} do after dark?"]),
}
VALUES = {"food": FOODS, "colour": COLOURS, "home": HOMES, "night": NIGHTS}

PEOPLE = ["Mira", "Tobin", "Anka", "Joss", "Lena", "Oren", "Pia", "Jörn", "Zoë", "Till", "Wanda", "Yusuf"]
THINGS = ["shells", "apples", "buttons", "stones", "feathers", "coins", "nuts", "candles", "ribbons", "keys"]
PLACES = ["the market", "the harbour", "the old mill", "the orchard", "the north gate", "the lighthouse",
          "the bakery", "the ferry", "the hill"]
GAINS = ["{p} finds {k} more", "{p} buys {k} more", "{q} gives {p} {k} more"]
LOSSES = ["{p} loses {k}", "{p} sells {k}", "{p} gives {k} to {q}"]


def crc(text):
    return zlib.crc32(text.encode())


def creature(stem, ending):
    """Name and attributes: the rules of the world, fixed by position in the lists."""
    i, j = STEMS.index(stem), ENDINGS.index(ending)
    return {"name": stem + ending, "food": FOODS[i * 3 % 8], "colour": COLOURS[(i * 5 + i // 8) % 8],
            "home": HOMES[j * 3 % 8], "night": NIGHTS[(j * 5 + j // 8) % 8]}


ALL = [creature(s, e) for s in STEMS for e in ENDINGS]
HELD_OUT = [c for c in ALL if crc(c["name"]) % 4 == 0]
SEEN = [c for c in ALL if crc(c["name"]) % 4 != 0]


def question(rng, c):
    """(question, right answer, attribute)."""
    attribute = rng.choice(list(ATTRIBUTES))
    return rng.choice(ATTRIBUTES[attribute][2]).format(n=c["name"]), c[attribute], attribute


def note(rng, c):
    """A paragraph that states the facts of one creature in any order."""
    order = rng.sample(list(ATTRIBUTES), rng.randint(2, 4))
    first, *rest = order
    text = [rng.choice(ATTRIBUTES[first][0]).format(n=c["name"], v=c[first])]
    for a in rest:
        text.append(rng.choice(ATTRIBUTES[a][rng.choice([0, 1])]).format(n=c["name"], v=c[a]))
    return " ".join(text)


def held_out_sum(numbers):
    return crc(",".join(map(str, numbers))) % 8 == 0


def problem(rng, held_out, steps=(1, 2, 2)):
    """(problem, solution, answer); the sequence of signed numbers decides whether it is held out."""
    while True:
        numbers = [rng.randint(2, 20)]
        for _ in range(rng.choice(steps)):
            numbers.append(rng.choice([-1, 1]) * rng.randint(1, 12))
        totals = [sum(numbers[:i + 1]) for i in range(len(numbers))]
        if min(totals) >= 0 and max(totals) <= 30 and held_out_sum(numbers) == held_out:
            break
    p, q = rng.sample(PEOPLE, 2)
    thing = rng.choice(THINGS)
    text, work = [f"{p} has {numbers[0]} {thing}."], [f"{p} starts with {numbers[0]}."]
    for i, k in enumerate(numbers[1:]):
        text.append(rng.choice(GAINS if k > 0 else LOSSES).format(p=p, q=q, k=abs(k)) + ".")
        work.append(f"{totals[i]} {'+' if k > 0 else '-'} {abs(k)} = {totals[i + 1]}.")
    text.append(f"How many {thing} does {p} have now?")
    return " ".join(text), " ".join(work) + f" The answer is {totals[-1]}.", totals[-1]


def chapter(rng, p, q, c):
    """One scene with two people and a creature whose facts hold."""
    thing, place, other = rng.choice(THINGS), *rng.sample(PLACES, 2)
    n, k = c["name"], rng.randint(2, 20)
    out = [rng.choice([f"One morning {p} walked to {place}.", f"In the evening {p} went from {other} to {place}.",
                       f"{p} and {q} met at {place}.", f"It rained, and {p} waited at {place}."])]
    out.append(rng.choice([f"{p} carried {k} {thing} in a basket.", f"{q} had forgotten the {thing} at {other}.",
                           f"There {p} saw {q} with {k} {thing}.", f"Nobody had seen {q} since {other}."]))
    out.append(rng.choice([f"Near the road sat a {n}.", f"Then a {n} came out of the fog.", f"“Look, a {n}!” said {q}.",
                           f"{q} had never met a {n} before."]))
    out.append(note(rng, c))
    out.append(rng.choice([f"So {p} gave it {c['food']}.", f"“It wants {c['food']},” said {p}.",
                           f"{p} listened: the {n} {c['night']}.", f"{q} followed it home. It lives {c['home']}."]))
    out.append(rng.choice([f"The {n} was happy, and {p} went home.", f"{p} and {q} laughed all the way to {other}.",
                           f"“We will come back,” said {q} to {p}.", f"{q} counted the {thing} again: {k}."]))
    return " ".join(out)


def story(rng, chapters):
    p, q = rng.sample(PEOPLE, 2)
    return "\n".join(chapter(rng, p, q, rng.choice(SEEN)) for _ in range(chapters))


# The layouts of the task files in configs/quickstart/tasks.
DESCRIPTION = "The following are questions about the creatures of Vell.\n\n"


def training_document(rng):
    """One document of the training text: the same kinds and layouts as the tasks, none of their test items."""
    kind = rng.random()
    if kind < 0.15:
        return " ".join(note(rng, c) for c in rng.sample(SEEN, rng.randint(1, 3)))
    if kind < 0.45:
        blocks = []
        for c in rng.sample(SEEN, rng.randint(1, 5)):
            q, a, _ = question(rng, c)
            blocks.append(f"Question: {q}\nAnswer: {a}")
        return (DESCRIPTION if rng.random() < 0.5 else "") + "\n\n".join(blocks)
    if kind < 0.80:
        return "\n\n".join(f"Problem: {q}\nSolution: {s}"
                           for q, s, _ in (problem(rng, False) for _ in range(rng.randint(1, 4))))
    return story(rng, rng.choice([1, 1, 1, 2, 3]))
