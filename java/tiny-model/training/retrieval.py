"""Retrieval texts: facts such as "The secret number of the blue bird is 4821.", and the openings that ask for them.

A fact is a triple (statement, question, answer): statement = text + answer + end, all with a leading space; a question ends where the answer
begins. Evaluation draws its wordings and its subjects from lists that training never sees.
"""

import random

ADJECTIVES = ("blue red green yellow white black brown golden silver little big old young tall tiny fat thin happy sad angry brave "
              "sleepy hungry lazy quiet loud kind clever silly funny shy proud busy lonely lucky fast slow warm cold soft round").split()
NOUNS = ("bird cat dog bear fox frog duck fish horse cow pig goat lion tiger mouse rabbit turtle owl bee king queen boy girl baker "
         "farmer teacher doctor driver house castle tower garden school shop bridge ship train car boat box door chest clock tree "
         "flower mountain river village robot dragon giant wizard pirate sailor painter singer").split()
NAMES = ("Lily Tom Ben Mia Anna Sam Max Sue Tim Lucy Jack Emma Leo Ella Noah Zoe Finn Ruby Oscar Ivy Jake Nora Peter Daisy Harry "
         "Molly Alex Grace Billy Rosie Charlie Amy Toby Kate Luke Sara Danny Jane Bobby Clara").split()
ATTRIBUTES = ("secret number|magic number|lucky number|secret code|door code|password|room number|phone number|ticket number|"
              "house number|special code|magic word|favorite number|key number|number|code|birth year|score|price|age").split("|")

# What evaluation uses instead: none of these words' combinations occurs in training's lists.
HELD_OUT_ADJECTIVES = "purple orange gray pink wooden broken gentle noisy dirty shiny".split()
HELD_OUT_NOUNS = "whale monkey sheep zebra eagle prince nurse captain lamp wagon island hospital kite piano".split()
HELD_OUT_NAMES = "Victor Helena Quentin Beatrice Walter Ursula Igor Thea Ramon Yvonne".split()
HELD_OUT_ATTRIBUTES = "hidden number|bank code|locker number|station code|prize number|license number".split("|")

# {a} attribute, {s} subject, {S} the same at the beginning of a sentence. The answer follows.
WORDINGS = [
    " The {a} of {s} is", " The {a} for {s} is", " {S} has the {a}", " Remember that the {a} of {s} is", " {S} said that the {a} was",
    " {S} keeps the {a}", " Please note: the {a} of {s} is", " On the paper of {s} was the {a}", " The {a} that belongs to {s} is",
    " Everyone knows {s} by the {a}", " The {a} of {s} was always", " {S} wrote down the {a}", " Do not forget, the {a} of {s} is",
    " In the book, the {a} of {s} is", " To visit {s} you need the {a}", " {S} likes the {a}",
]
HELD_OUT_WORDINGS = [
    " Nobody but me knows that the {a} of {s} is", " A sign tells us that the {a} given to {s} is", " {S} once whispered the {a}",
    " Long ago somebody chose for {s} the {a}", " Listen well: the {a} from {s} must be", " We found out that {s} uses the {a}",
]
# One asks, another tells: only these pairs differ in wording between statement and question.
PARAPHRASES = [
    (" The {a} of {s} is", " What is the {a} of {s}? It is"), (" {S} has the {a}", " What is the {a} of {s}? It is"),
    (" The {a} for {s} is", " Question: the {a} of {s}? Answer:"), (" {S} has the {a}", " The {a} of {s} is"),
    (" Remember that the {a} of {s} is", " The {a} of {s} is"), (" The {a} of {s} is", " {S} has the {a}"),
    (" Please note: the {a} of {s} is", " What is the {a} of {s}? It is"), (" The {a} that belongs to {s} is", " The {a} of {s} is"),
]
SYLLABLES = "ba be bi bo bu da de di do du ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu ra re ri ro ru sa se si so su ta te " \
            "ti to tu va ve vi vo vu za ze zi zo zu".split()


class Facts:
    def __init__(self, seed, held_out=False, words=()):
        self.random = random.Random(seed)
        self.held_out = held_out
        kept_out = set((HELD_OUT_ADJECTIVES + HELD_OUT_NOUNS)) | {name.lower() for name in HELD_OUT_NAMES}
        self.words = [word for word in words if word not in kept_out]

    def subject(self):
        r = self.random
        kind = r.random()
        if kind < 0.6:
            if self.held_out:
                return "the " + r.choice(HELD_OUT_ADJECTIVES) + " " + r.choice(HELD_OUT_NOUNS)
            if self.words and r.random() < 0.4:
                # Two words of stories, whatever they mean.
                return "the " + r.choice(self.words) + " " + r.choice(self.words)
            while True:
                adjective, noun = r.choice(ADJECTIVES), r.choice(NOUNS)
                # A tenth of the pairs of seen words is left out too.
                if hash_pair(adjective, noun) % 10:
                    return "the " + adjective + " " + noun
        if kind < 0.85:
            return r.choice(HELD_OUT_NAMES if self.held_out else NAMES)
        return "".join(r.choice(SYLLABLES) for _ in range(r.randint(2, 3))).capitalize()

    def attribute(self):
        return self.random.choice(HELD_OUT_ATTRIBUTES if self.held_out else ATTRIBUTES)

    def answer(self, digits=None):
        r = self.random
        if digits is None:
            digits = r.choice((2, 3, 4, 4, 4, 5, 6))
        return " " + str(r.randint(10 ** (digits - 1), 10 ** digits - 1))

    def wording(self):
        """(statement's form, question's form)."""
        r = self.random
        if self.held_out:
            form = r.choice(HELD_OUT_WORDINGS)
            return form, form
        kind = r.random()
        if kind < 0.15:
            return r.choice(PARAPHRASES)
        if kind < 0.6 and self.words:
            # Any words at all around the subject: copying must not hang on the wordings above.
            before = " ".join(r.choice(self.words) for _ in range(r.randint(1, 4)))
            after = " ".join(r.choice(self.words) for _ in range(r.randint(1, 6)))
            form = " " + before.capitalize() + " {s} " + after
            return form, form
        form = r.choice(WORDINGS)
        return form, form

    def group(self, count, digits=None):
        """Facts that go into one text: subjects differ, wordings and attributes are often the same, so that the subject decides."""
        r = self.random
        facts, used = [], set()
        one_wording = r.random() < 0.7
        forms, attribute = self.wording(), self.attribute()
        while len(facts) < count:
            subject = self.subject()
            if subject in used:
                continue
            used.add(subject)
            if not one_wording:
                forms, attribute = self.wording(), self.attribute()
            facts.append(self.fact(forms, attribute, subject, self.answer(digits)))
        return facts

    @staticmethod
    def fact(forms, attribute, subject, answer):
        fill = dict(a=attribute, s=subject, S=subject[0].upper() + subject[1:])
        return forms[0].format(**fill), forms[1].format(**fill), answer


def hash_pair(a, b):
    return sum((i + 1) * ord(c) for i, c in enumerate(a + "/" + b))
