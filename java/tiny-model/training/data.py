"""Rows of token ids with a weight for the loss at every position: stories, repeated noise, and texts with facts and questions."""

import numpy as np

import retrieval
import tokenizer as bpe

# Weights of an answer and of the full stop behind it. The words of facts and questions have none: most of them nobody can know.
ANSWER, END = 4.0, 0.5


class Stories:
    def __init__(self, folder, encode, rng):
        self.ids = np.load(folder / "ids.npy").astype(np.int64)
        self.sentences = np.load(folder / "sentences.npy")
        self.beginnings = np.flatnonzero(self.ids == bpe.BOS)
        self.spaced = np.array([encode.tokenizer.id_to_token(i).startswith("\u0120") for i in range(bpe.VOCABULARY)])
        self.line_break = np.array(encode("\n"), np.int64)
        self.rng = rng

    def row(self, tokens):
        """Whole stories in their order from a random one on, each in BOS and EOS; the last is cut."""
        begin = int(self.rng.choice(self.beginnings))
        return np.take(self.ids, np.arange(begin, begin + tokens), mode="wrap")

    def sentences_of(self, tokens):
        """Consecutive sentences of stories, together at most so many tokens; a line break between stories."""
        at, result = int(self.rng.integers(len(self.sentences))), []
        while True:
            begin = self.sentences[at]
            end = self.sentences[at + 1] if at + 1 < len(self.sentences) else len(self.ids)
            piece = self.ids[begin:end]
            piece = piece[piece > bpe.EOS]
            if result and self.ids[begin - 1] == bpe.BOS:
                piece = np.concatenate([self.line_break, piece])
            if tokens < len(piece):
                return result
            tokens -= len(piece)
            result.append(piece)
            at = (at + 1) % len(self.sentences)

    def gaps(self, sentences):
        """Where something that begins with a space may be put between sentences: before such a one, and at the end."""
        return np.array([i for i, s in enumerate(sentences) if self.spaced[s[0]]] + [len(sentences)])


class Rows:
    """Makes rows of [tokens] ids and [tokens] weights; weight i belongs to the prediction of id i."""

    def __init__(self, stories, facts, encode, rng):
        self.stories, self.facts, self.encode, self.rng = stories, facts, encode, rng

    def story(self, tokens):
        ids = self.stories.row(tokens)
        weights = np.ones(tokens, np.float32)
        weights[ids == bpe.BOS] = 0
        return ids, weights

    def noise(self, tokens):
        """Random ids, then the same again and again: nothing but looking back can tell what comes."""
        length = int(self.rng.integers(tokens // 8, tokens // 2 + 1))
        ids = np.resize(self.rng.integers(bpe.EOS + 1, bpe.VOCABULARY, length), tokens)
        weights = np.where(np.arange(tokens) < length + 1, 0, 1).astype(np.float32)
        return ids, weights

    def retrieval(self, tokens, count, filler):
        """So many facts in a text, then questions; sentences of stories take the share filler of what the facts leave."""
        facts = self.facts.group(count)
        statements = [self._piece(f[0], f[2], asked=False) for f in facts]
        questions = [self._piece(f[1], f[2], asked=True) for f in facts]
        room = tokens - 1 - sum(len(s[0]) for s in statements)
        asked, left = [], room * (1 - filler)
        while not asked or left > 0 and len(asked) < 2 * count:
            for i in self.rng.permutation(count):
                left -= len(questions[i][0])
                if asked and left < 0:
                    break
                asked.append(questions[i])
        room -= sum(len(q[0]) for q in asked)
        sentences = self.stories.sentences_of(max(0, room)) if filler > 0 else []
        gaps = self.stories.gaps(sentences)
        places = self.rng.choice(gaps, count)
        pieces = [(np.array([bpe.BOS]), np.zeros(1, np.float32))]
        for at in range(len(sentences) + 1):
            pieces += [statement for statement, place in zip(statements, places) if place == at]
            if at < len(sentences):
                weights = np.ones(len(sentences[at]), np.float32)
                # Between stories stands a line break here; elsewhere a story ends with EOS, and that is what is to be learned.
                weights[0] = float(sentences[at][0] != self.stories.line_break[0])
                pieces.append((sentences[at], weights))
        pieces += asked
        ids = np.concatenate([p[0] for p in pieces])[:tokens]
        weights = np.concatenate([p[1] for p in pieces])[:tokens]
        if len(ids) < tokens:
            more_ids, more_weights = self.story(tokens - len(ids))
            ids, weights = np.concatenate([ids, more_ids]), np.concatenate([weights, more_weights])
        return ids, weights

    def _piece(self, text, answer, asked):
        text, answer, end = self.encode(text), self.encode(answer), self.encode(".")
        weights = [0.0] * len(text) + [ANSWER] * len(answer) + [END] * len(end)
        ids = np.array(text + answer + end, np.int64)
        return ids, np.array(weights, np.float32) * asked


def held_out_probe(rows, tokens, count, depth, digits=4):
    """(ids, first position of the answer): a text of at most so many tokens that ends in the answer to a question about its first fact."""
    facts = rows.facts.group(count, digits)
    encode = rows.encode
    statements = [np.array(encode(f[0] + f[2] + "."), np.int64) for f in facts]
    question = np.array(encode(facts[0][1]), np.int64)
    answer = np.array(encode(facts[0][2]), np.int64)
    room = tokens - 1 - sum(map(len, statements)) - len(question) - len(answer)
    sentences = rows.stories.sentences_of(room)
    gaps = rows.stories.gaps(sentences)
    places = [gaps[round(depth * (len(gaps) - 1))]] + [rows.rng.choice(gaps) for _ in facts[1:]]
    body = [np.array([bpe.BOS])]
    for at in range(len(sentences) + 1):
        body += [s for s, place in zip(statements, places) if place == at]
        if at < len(sentences):
            body.append(sentences[at])
    ids = np.concatenate(body + [question, answer])
    return ids, len(ids) - len(answer)


def rows_for(folder, encode, seed, part="train", held_out=False):
    rng = np.random.default_rng(seed)
    words = (folder / "words.txt").read_text().split()
    return Rows(Stories(folder / part, encode, rng), retrieval.Facts(seed, held_out, words), encode, rng)
