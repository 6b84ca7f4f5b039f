"""Filters the teacher's stories, trains the tokenizer on them, and stores the ids.

    python prepare.py OUT_DIR STORIES.txt... [--keep-tokenizer] [--without FILE]

Writes OUT_DIR/tokenizer.json and, for the training and the held-out stories (every 100th), ids.npy (uint16: BOS story EOS ...) and
sentences.npy (where in ids a sentence begins); stories whose text stands in FILE are left out. Prints how many stories each filter dropped.
"""

import argparse
import collections
import hashlib
import pathlib
import re

import numpy as np

import retrieval
import tokenizer as bpe

SENTENCE = re.compile(r'(?<=[.!?"])(?= [A-Z"])|(?<=\n)')


def flaw(text, words, common):
    """Why a story is not good enough, or None."""
    if not 250 <= len(text) <= 2400:
        return "length"
    if not re.fullmatch(r"[ -~\n]*", text):
        return "characters"
    if text[-1] not in '.!?"' or not text[0].isupper() and text[0] != '"':
        return "cut"
    if text.count('"') % 2:
        return "quotes"
    sentences = [s.strip() for s in re.split(r"[.!?\n]+", text) if len(s.strip()) > 12]
    if len(set(sentences)) < len(sentences) - 1:
        return "repeated sentence"
    grams = collections.Counter(tuple(words[i:i + 5]) for i in range(len(words) - 4))
    if grams and grams.most_common(1)[0][1] > 3:
        return "repeated words"
    if any(word not in common for word in words):
        return "rare or broken word"
    return None


def words_of(text):
    return re.findall(r"[a-z']+", text.lower())


def load(files, without=""):
    """Distinct good stories, in the order of the files, but none that stands in a text."""
    stories = [re.sub(r" *\n+ *", "\n", line.rstrip("\n").replace("\\n", "\n")).strip() for f in files for line in open(f, encoding="utf-8")]
    words = [words_of(story) for story in stories]
    seen_in = collections.Counter(word for story in words for word in set(story))
    common = {word for word, count in seen_in.items() if count > min(3, len(stories) // 2000)}
    dropped, good, beginnings = collections.Counter(), [], set()
    for story, story_words in zip(stories, words):
        reason = flaw(story, story_words, common)
        beginning = hashlib.sha256(" ".join(story_words[:40]).encode()).digest()
        if reason is None and beginning in beginnings:
            reason = "duplicate"
        if reason is None and story.replace("\n", " ") in without:
            reason = "in the needle test"
        if reason is None:
            beginnings.add(beginning)
            good.append(story)
        else:
            dropped[reason] += 1
    print(f"{len(stories)} stories, kept {len(good)}, dropped {dict(dropped)}")
    return good


def store(folder, stories, encode):
    folder.mkdir(parents=True, exist_ok=True)
    ids, starts = [], []
    for story in stories:
        ids.append(bpe.BOS)
        for sentence in SENTENCE.split(story):
            if sentence:
                starts.append(len(ids))
                ids.extend(encode(sentence))
        ids.append(bpe.EOS)
    np.save(folder / "ids.npy", np.array(ids, np.uint16))
    np.save(folder / "sentences.npy", np.array(starts, np.int64))
    print(f"{folder}: {len(stories)} stories, {len(ids)} tokens, {len(starts)} sentences")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("stories", nargs="+")
    arguments.add_argument("--keep-tokenizer", action="store_true")
    arguments.add_argument("--without", type=pathlib.Path)
    args = arguments.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    stories = load(args.stories, args.without.read_text(encoding="utf-8") if args.without else "")
    path = args.out / "tokenizer.json"
    if not args.keep_tokenizer:
        facts = retrieval.Facts(1)
        texts = ["".join(f[0] + f[2] + "." for f in facts.group(20)) for _ in range(max(20, len(stories) // 400))]
        bpe.train(stories + texts).save(str(path))
    encode = bpe.Encoder(path)
    check = stories[0]
    assert encode(check) == encode.tokenizer.encode(check, add_special_tokens=False).ids and encode.decode(encode(check)) == check
    held_out = stories[::100]
    store(args.out / "held-out", held_out, encode)
    store(args.out / "train", [s for i, s in enumerate(stories) if i % 100], encode)
    counts = collections.Counter(word for story in stories for word in words_of(story) if word.isalpha())
    (args.out / "words.txt").write_text("\n".join(word for word, _ in counts.most_common(1500)))


if __name__ == "__main__":
    main()
