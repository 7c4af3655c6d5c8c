"""PEFT: fine-tuning of large models with few additional parameters."""

import tempfile

import peft
import torch
import transformers

from tools.ecosystem.cases import fill, gradients, integers, normal

transformers.logging.set_verbosity_error()


def _llama():
    config = transformers.LlamaConfig(
        vocab_size=99,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    return fill(transformers.LlamaForCausalLM(config))


def _adapted(config):
    """Train an adapted model. Return its gradients, its outputs, and the outputs after saving and loading the model."""
    model = fill(peft.get_peft_model(_llama(), config))  # only the adapters are filled; the other parameters are frozen
    ids = integers(99, 2, 10)
    model(input_ids=ids, labels=ids).loss.backward()
    results = {"gradients": {name: grad.clone() for name, grad in gradients(model).items()}}
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    model.eval()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = peft.PeftModel.from_pretrained(_llama(), folder).eval()
    results["counts"] = model.get_nb_trainable_parameters()
    results["logits"], results["loaded"] = (each(input_ids=ids).logits for each in (model, loaded))
    return model, results


def _merged(config):
    model, results = _adapted(config)
    results["merged"] = model.merge_and_unload()(input_ids=integers(99, 2, 10)).logits
    return results


LINEAR = {"target_modules": ["q_proj", "v_proj", "down_proj"], "task_type": "CAUSAL_LM"}


def lora():
    return _merged(peft.LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, **LINEAR))


def dora():
    return _merged(peft.LoraConfig(r=4, use_dora=True, use_rslora=True, **LINEAR))


def ia3():
    return _merged(peft.IA3Config(feedforward_modules=["down_proj"], **LINEAR))


def loha():
    return _merged(peft.LoHaConfig(r=4, **LINEAR))


def lokr():
    return _merged(peft.LoKrConfig(r=4, **LINEAR))


def oft():
    return _merged(peft.OFTConfig(r=0, oft_block_size=4, **LINEAR))


def prefix_tuning():
    return _adapted(peft.PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"))[1]


def prompt_tuning():
    return _adapted(peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"))[1]


def several_adapters():
    plain = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    model = peft.get_peft_model(fill(plain), peft.LoraConfig(r=2, target_modules=["0", "2"]))
    model.add_adapter("other", peft.LoraConfig(r=3, target_modules=["0"]))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora" in name)
    fill(model)
    inputs, outputs = normal(4, 6), {}
    for name in ("default", "other"):
        model.set_adapter(name)
        outputs[name] = model(inputs)
    with model.disable_adapter():
        outputs["none"] = model(inputs)
    model.add_weighted_adapter(["default", "other"], [0.5, 0.7], "both", combination_type="cat")
    model.set_adapter("both")
    return {**outputs, "both": model(inputs), "generated": sorted(peft.get_peft_model_state_dict(model))}
