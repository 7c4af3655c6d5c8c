"""Transformers: models of language, images and sound from small configurations, generation and training."""

import tempfile

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tools.ecosystem.cases import fill, gradients, integers, normal

transformers.logging.set_verbosity_error()

SIZES = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
IMAGES = {"image_size": 16, "patch_size": 4}


def _without_dropout(config):
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    return config


def _gradients(model):
    # A bias of keys adds the same number to all scores of a query, so its gradient is zero up to rounding.
    keys = ("k_proj.bias", "key.bias", "k_lin.bias", "key_proj.bias")
    return {name: grad for name, grad in gradients(model).items() if not name.endswith(keys)}


def _trained(model, implementation, **inputs):
    model.set_attn_implementation(implementation)
    model.zero_grad()
    output = model(**inputs)
    output.loss.backward()
    return {"loss": output.loss, "logits": output.logits, **_gradients(model)}


def _language(model):
    """Return the masked loss of both attention implementations, its gradients and generated tokens."""
    ids = integers(90, 2, 12) + 5
    mask = torch.ones_like(ids)
    mask[0, :3] = 0
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": ids}
    fill(model).eval()
    results = {each: _trained(model, each, **inputs) for each in ("eager", "sdpa")}
    if model.can_generate():
        options = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": 1}
        results["greedy"] = model.generate(ids, attention_mask=mask, **options)
        results["beams"] = model.generate(ids, attention_mask=mask, num_beams=3, **options)
    return results


def _decoder(name, **options):
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **options})
    return _language(getattr(transformers, f"{name}ForCausalLM")(_without_dropout(config)))


def _encoder(name, **options):
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **options})
    return _language(getattr(transformers, f"{name}ForMaskedLM")(_without_dropout(config)))


def _gpt2():
    config = transformers.GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4, n_positions=64, pad_token_id=0)
    return transformers.GPT2LMHeadModel(_without_dropout(config))


def gpt2():
    return _language(_gpt2())


def llama():
    return _decoder("Llama", num_key_value_heads=2)


def mistral():
    return _decoder("Mistral", num_key_value_heads=2, sliding_window=8)


def qwen3():
    return _decoder("Qwen3", num_key_value_heads=2, head_dim=8)


def gemma():
    return _decoder("Gemma", num_key_value_heads=2, head_dim=8)


def phi3():
    return _decoder("Phi3")


def mixtral():
    return _decoder("Mixtral", num_key_value_heads=2, num_local_experts=4)


def mamba():
    config = transformers.MambaConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, state_size=8, use_associative_scan=True
    )
    model = fill(transformers.MambaForCausalLM(config))
    ids = integers(90, 2, 12) + 5
    output = model(input_ids=ids, labels=ids)
    output.loss.backward()
    generated = model.eval().generate(ids, max_new_tokens=6, do_sample=False, pad_token_id=0, eos_token_id=1)
    return {"logits": output.logits, "generated": generated, **gradients(model)}


def bert():
    return _encoder("Bert")


def roberta():
    return _encoder("Roberta")


def distilbert():
    sizes = {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    return _language(transformers.DistilBertForMaskedLM(_without_dropout(transformers.DistilBertConfig(**sizes))))


def t5():
    sizes = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    config = transformers.T5Config(**sizes, decoder_start_token_id=0)
    return _language(transformers.T5ForConditionalGeneration(_without_dropout(config)))


def bart():
    sides = {
        f"{side}_{name}": size
        for side in ("encoder", "decoder")
        for name, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))
    }
    config = transformers.BartConfig(vocab_size=99, d_model=32, max_position_embeddings=64, **sides)
    return _language(transformers.BartForConditionalGeneration(_without_dropout(config)))


def vit():
    config = transformers.ViTConfig(**{**SIZES, **IMAGES}, num_labels=5)
    model = fill(transformers.ViTForImageClassification(_without_dropout(config)))
    inputs = {"pixel_values": normal(2, 3, 16, 16), "labels": integers(5, 2)}
    return {each: _trained(model, each, **inputs) for each in ("eager", "sdpa")}


def clip():
    end = 98  # the text's embedding is the last token's embedding, which attends to the other tokens
    texts = torch.cat([integers(end, 3, 6), torch.full((3, 1), end)], 1)
    text_config, vision_config = {**SIZES, "eos_token_id": end}, {**SIZES, **IMAGES}
    config = transformers.CLIPConfig(text_config=text_config, vision_config=vision_config, projection_dim=16)
    model = fill(transformers.CLIPModel(config))
    output = model(input_ids=texts, pixel_values=normal(3, 3, 16, 16), return_loss=True)
    output.loss.backward()
    return {"loss": output.loss, "logits": output.logits_per_image, **_gradients(model)}


def whisper():
    sides = {
        f"{side}_{name}": size
        for side in ("encoder", "decoder")
        for name, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))
    }
    config = transformers.WhisperConfig(
        **sides,
        vocab_size=99,
        d_model=32,
        num_mel_bins=8,
        max_source_positions=20,
        max_target_positions=30,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = fill(transformers.WhisperForConditionalGeneration(_without_dropout(config)))
    sound = normal(2, 8, 40)
    output = model(input_features=sound, labels=integers(99, 2, 6))
    output.loss.backward()
    generated = model.eval().generate(sound, max_new_tokens=5, do_sample=False)
    return {"loss": output.loss, "logits": output.logits, "generated": generated, **_gradients(model)}


class _Texts(torch.utils.data.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, place):
        ids = integers(90, 12, seed=place) + 5
        return {"input_ids": ids, "labels": ids}


def _steady(trained):
    # Gradients of key biases are zero up to rounding.
    return {name: value for name, value in trained.items() if "c_attn.bias" not in name}


def trainer():
    with tempfile.TemporaryDirectory() as folder:
        options = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=4,
            num_train_epochs=2,
            learning_rate=1e-3,
            weight_decay=0.1,
            lr_scheduler_type="cosine",
            warmup_steps=2,
            gradient_accumulation_steps=2,
            logging_steps=1,
            train_sampling_strategy="sequential",
            adam_epsilon=1e-4,  # small gradients are mostly rounding errors
            report_to=[],
            use_cpu=True,
            save_strategy="epoch",
            disable_tqdm=True,
        )
        training = transformers.Trainer(fill(_gpt2()), options, train_dataset=_Texts(), eval_dataset=_Texts())
        training.train()
        losses = [entry["loss"] for entry in training.state.log_history if "loss" in entry]
        evaluated = training.evaluate()["eval_loss"]
        resumed = transformers.GPT2LMHeadModel.from_pretrained(f"{folder}/checkpoint-{training.state.global_step}")
        trained = dict(training.model.named_parameters())
        kept = all(torch.equal(value, trained[name]) for name, value in resumed.named_parameters())
    return {
        "losses": losses,
        "evaluated": evaluated,
        "kept": kept,
        "trained": _steady(trained),
    }


def saving():
    model = fill(_gpt2()).eval()
    ids = integers(99, 2, 9)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, max_shard_size="30KB")
        loaded = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        half = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    return {
        "logits": loaded(ids).logits,
        "half": sum(parameter.double().square().sum() for parameter in half.parameters()),
        "dtype": str(half.dtype).split(".")[-1],
    }


TEXTS = ["a torch is made of wicks", "the wicks of a torch burn", "what burns gives light"]


def _tokenizer():
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(TEXTS, trainers.WordLevelTrainer(special_tokens=special))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)


def pipelines():
    tokenizer = _tokenizer()
    classifier = fill(transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES, num_labels=3))).eval()
    classify = transformers.pipeline("text-classification", model=classifier, tokenizer=tokenizer, top_k=None)
    generate = transformers.pipeline("text-generation", model=fill(_gpt2()).eval(), tokenizer=tokenizer)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    options = {"max_new_tokens": 5, "do_sample": False, "return_full_text": False}
    return {
        "ids": batch["input_ids"],
        "classes": classify(TEXTS),
        "texts": generate(TEXTS[:1], **options),
    }
