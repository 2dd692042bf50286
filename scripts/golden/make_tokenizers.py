"""Makes tests/golden/tokenizers: small tokenizers in the styles of real models, each with the ids and
decoded texts that Hugging Face's tokenizers library gives. Run with tokenizers 0.22 (0.23 spells added
tokens with normalized=true differently)."""

import json
import pathlib

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers

assert tokenizers.__version__.startswith("0.22"), tokenizers.__version__
FOLDER = pathlib.Path(__file__).parents[2] / "tests" / "golden" / "tokenizers"

SENTENCES = [
    "A muster is held at dawn, and every soldier answers when the name is called.",
    "The answers are counted; the counting is checked, and the checks are written down.",
    "It's true that they'll ask again: who's here, who isn't, and what's the number?",
    "In 1916 there were 1234 names, in 2024 there were 98765.",
    "    if counted[name] == 0:\n        return None\n",
    "Größe, naïve Façade, café and crème brûlée are words with marks.",
    "Привет мир, 你好世界, こんにちは, مرحبا بالعالم.",
]
TEXTS = [
    "", " ", "  ", "\n", "\t", "\r\n", "a", " a", "a ", "  leading and trailing  ",
    "A muster is held at dawn.", "Who's here? They'll answer: it's 12345 o'clock!", "WHO'S HERE, I'LL SAY",
    "counted[name] == 0\n\n\n    return\r\n\r\n", "1 12 123 1234 12345 ٣٤٥ ½ Ⅷ", "a\u00a0b\u2003c\u3000d\u200be",
    "e\u0301 é ﬁ Å Å Ǆ ß ſ İ", "क्षि नमस्ते", "한국어 한국", "你好，世界。", "مرحبا بالعالم", "שלום",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "\x00\x01\x1f\x7f\x85", "\ufeffbom \ufffd \uffff", "tab\tand\vfeed\f",
    "▁under▁score ▁", "Ġhello <0x0A> <unk>", "</s><s> <s>a</s> b", "word<mask>word", " <mask> ", "say <pad>, <pad>!",
    "[YES] yes [yes]\t[No]", "alone unalone alone2 _alone (alone)", "x <|endoftext|> y<|endoftext|>",
    "a" * 70, "ab " * 30, "...!!!???---", "C'est l'été, n'est-ce pas?", "under_score snake_case __init__",
    "the the  the   the    the", "naïve cafe\u0301", "\u0301\u0301 lone marks", "１２３ ＡＢＣ",
]


def words(vocab_size, pre_tokenizer, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer, trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False,
                                          initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def gpt2():
    tokenizer, trainer = words(330, pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    data = json.loads(tokenizer.to_str())
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]  # the older form
    return data


def llama3():
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
               r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer, trainer = words(330, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), ignore_merges=True)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    data = json.loads(tokenizer.to_str())
    for word in ["Ġmuster", "counted", "ĠreturnĊ"]:  # reachable only because merges are ignored
        data["model"]["vocab"].setdefault(word, len(data["model"]["vocab"]))
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    bos = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", bos)])])
    return json.loads(tokenizer.to_str())


def sentencepiece_model(**options):
    """A BPE model over ▁-words with <unk>, <s>, </s> and the 256 byte tokens first."""
    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=130, show_progress=False, initial_alphabet=["▁"])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(SENTENCES[:5], trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += [token for token, _ in sorted(trained["vocab"].items(), key=lambda item: item[1])]
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = [tuple(pair) for pair in trained["merges"]]
    return Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", **options))


def llama2():
    tokenizer = sentencepiece_model(fuse_unk=True, byte_fallback=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.add_special_tokens([AddedToken("<unk>", normalized=False, special=True),
                                  AddedToken("<s>", normalized=True, special=True),
                                  AddedToken("</s>", normalized=False, special=True, rstrip=True)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                           decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A <s> $B", special_tokens=[("<s>", 1), ("</s>", 2)])
    return json.loads(tokenizer.to_str())


def metaspace():
    tokenizer = sentencepiece_model(fuse_unk=False, byte_fallback=False)
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("merged_with_previous"),
        pre_tokenizers.Metaspace(prepend_scheme="first", split=True)])
    tokenizer.decoder = decoders.Metaspace()
    return json.loads(tokenizer.to_str())


def added():
    tokenizer, trainer = words(300, pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
        normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])
    tokenizer.add_tokens([
        AddedToken("<mask>", lstrip=True, rstrip=False, normalized=False, special=True),
        AddedToken("<pad>", lstrip=False, rstrip=True, normalized=False, special=True),
        AddedToken("alone", single_word=True, normalized=False),
        AddedToken("[YES]", normalized=True), AddedToken("[no]", lstrip=True, rstrip=True, normalized=True),
        AddedToken("the the", normalized=True), AddedToken("the", normalized=True, single_word=True),
        AddedToken("<s>", normalized=False, special=True), AddedToken("</s>", normalized=True, special=True),
        AddedToken("été", normalized=False)])
    tokenizer.decoder = decoders.ByteLevel()
    mask, pad = tokenizer.token_to_id("<mask>"), tokenizer.token_to_id("<pad>")
    tokenizer.post_processor = processors.RobertaProcessing(sep=("<pad>", pad), cls=("<mask>", mask))
    return json.loads(tokenizer.to_str())


for make in [gpt2, llama3, llama2, metaspace, added]:
    data = make()
    tokenizer = Tokenizer.from_str(json.dumps(data))
    expected = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        whole = tokenizer.encode(text, add_special_tokens=True).ids
        at = next(i for i in range(len(whole) + 1) if whole[i:i + len(ids)] == ids)
        expected.append({"text": text, "ids": ids, "before": whole[:at], "after": whole[at + len(ids):],
                         "decoded": tokenizer.decode(whole, skip_special_tokens=False),
                         "skipped": tokenizer.decode(whole, skip_special_tokens=True)})
    folder = FOLDER / make.__name__
    folder.mkdir(parents=True, exist_ok=True)
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    (folder / "tokenizer.json").write_text(json.dumps(data, **compact) + "\n", encoding="utf-8")
    lines = ",\n".join(json.dumps(entry, **compact) for entry in expected)
    (folder / "expected.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
