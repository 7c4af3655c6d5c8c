"""Sentence Transformers: embeddings of texts, from a small transformer that the program creates."""

import tempfile

import torch
import transformers
from sentence_transformers import SentenceTransformer, losses, util
from sentence_transformers.sentence_transformer import modules
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tools.ecosystem.cases import fill, gradients, normal

transformers.logging.set_verbosity_error()

TEXTS = ["a torch is made of wicks", "the wicks of a torch burn", "what burns gives light", "light"]


def _saved_transformer(folder):
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(TEXTS, trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]"]))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=32, **names).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    fill(transformers.BertModel(config)).save_pretrained(folder)


def _model(pooling="mean", *further):
    with tempfile.TemporaryDirectory() as folder:
        _saved_transformer(folder)
        words = modules.Transformer(folder)
    pooled = modules.Pooling(words.get_embedding_dimension(), pooling)
    return SentenceTransformer(modules=[words, pooled, *further], device="cpu")


def vectors():
    return {
        pooling: _model(pooling).encode(TEXTS, batch_size=2, convert_to_tensor=True)
        for pooling in ("mean", "cls", "max", "lasttoken", "weightedmean")
    }


def dense_and_normalized():
    model = _model("mean", fill(modules.Dense(32, 8)), modules.Normalize())
    found = model.encode(TEXTS, convert_to_tensor=True)
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        loaded = SentenceTransformer(folder, device="cpu")
    again = loaded.encode(TEXTS)
    return {"vectors": found, "loaded": again, "similar": model.similarity(found, found)}


def _loss(kind, labels, *options):
    model = _model()
    features = [model.tokenize(TEXTS[:2]), model.tokenize(TEXTS[2:])]
    loss = kind(model, *options)
    value = loss(features, labels)
    value.backward()
    biases = {name: grad for name, grad in gradients(model).items() if not name.endswith("key.bias")}
    return {"loss": value, **biases}


def cosine_loss():
    return _loss(losses.CosineSimilarityLoss, torch.tensor([0.2, 0.9]))


def ranking_loss():
    return _loss(losses.MultipleNegativesRankingLoss, None)


def contrastive_loss():
    return _loss(losses.ContrastiveLoss, torch.tensor([0, 1]))


def searches():
    corpus, queries = normal(20, 8), normal(3, 8, seed=1)
    found = util.semantic_search(queries, corpus, top_k=4)
    return {
        "found": found,
        "cosines": util.cos_sim(queries, corpus),
        "dots": util.dot_score(queries, corpus),
        "pairs": util.pairwise_cos_sim(corpus[:3], queries),
        "groups": util.community_detection(corpus, threshold=0.4, min_community_size=2),
    }
