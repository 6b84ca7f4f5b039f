"""The tokenizer: byte-level BPE with digits split singly, so that numbers can be copied digit by digit."""

import functools
import re

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, processors, trainers

VOCABULARY = 4096
BOS, EOS = 0, 1
SPECIAL = ["<s>", "</s>"]

# GPT-2's pattern with single digits. A text may be cut before any word that follows a space without changing its tokens.
PATTERN = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def train(texts):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", BOS)])
    assert tokenizer.get_vocab_size() == VOCABULARY and tokenizer.token_to_id("</s>") == EOS
    return tokenizer


class Encoder:
    """Ids of short texts, without BOS, from a cache of words: the generators make millions of sentences out of few words."""

    WORD = re.compile(r" ?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+|\s")

    def __init__(self, path):
        self.tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self.word = functools.lru_cache(maxsize=1 << 18)(self._word)

    def _word(self, text):
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def __call__(self, text):
        ids = []
        for word in self.WORD.findall(text):
            ids.extend(self.word(word))
        return ids

    def decode(self, ids):
        return self.tokenizer.decode(list(ids))
