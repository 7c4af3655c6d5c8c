"""Vit-pytorch: variants of vision transformers."""

import torch
from vit_pytorch import SimpleViT, ViT
from vit_pytorch.cait import CaiT
from vit_pytorch.cct import CCT
from vit_pytorch.cross_vit import CrossViT
from vit_pytorch.crossformer import CrossFormer
from vit_pytorch.cvt import CvT
from vit_pytorch.deepvit import DeepViT
from vit_pytorch.distill import DistillableViT, DistillWrapper
from vit_pytorch.extractor import Extractor
from vit_pytorch.levit import LeViT
from vit_pytorch.max_vit import MaxViT
from vit_pytorch.mobile_vit import MobileViT
from vit_pytorch.na_vit import NaViT
from vit_pytorch.nest import NesT
from vit_pytorch.pit import PiT
from vit_pytorch.recorder import Recorder
from vit_pytorch.regionvit import RegionViT
from vit_pytorch.t2t import T2TViT

from tools.ecosystem.cases import fill, gradients, normal

_SIZES = {"image_size": 32, "num_classes": 5, "dim": 32, "depth": 2, "heads": 2}


def _computed(model, images):
    scores = fill(model).eval()(images)
    scores.square().sum().backward()
    lengths = torch.stack([value.double().norm() for value in gradients(model).values()])
    return {"scores": scores, "lengths": lengths}


def plain():
    models = {
        "vit": ViT(patch_size=8, mlp_dim=64, **_SIZES),
        "simple": SimpleViT(patch_size=8, mlp_dim=64, **_SIZES),
        "deep": DeepViT(patch_size=8, mlp_dim=64, **_SIZES),
        "cait": CaiT(patch_size=8, mlp_dim=64, cls_depth=1, **_SIZES),
        "pit": PiT(patch_size=4, mlp_dim=64, image_size=32, num_classes=5, dim=32, depth=(1, 1), heads=2),
        "tokens": T2TViT(mlp_dim=64, t2t_layers=((3, 2), (3, 2)), **_SIZES),
    }
    return {name: _computed(model, normal(2, 3, 32, 32)) for name, model in models.items()}


def hierarchical():
    images = normal(1, 3, 64, 64)
    models = {
        "cross": CrossFormer(
            dim=(32, 32, 64, 64),
            depth=(1, 1, 1, 1),
            global_window_size=(2, 2, 2, 1),
            local_window_size=2,
            num_classes=5,
        ),
        "cvt": CvT(num_classes=5, s1_emb_dim=16, s2_emb_dim=16, s3_emb_dim=32, s3_depth=1, s2_depth=1),
        "mobile": MobileViT((64, 64), [16, 24, 32], [8, 8, 8, 8, 16, 16, 16, 16, 16, 16, 32], 5),
        "nest": NesT(
            image_size=64, patch_size=4, dim=16, heads=2, num_hierarchies=2, block_repeats=(1, 1), num_classes=5
        ),
        "region": RegionViT(dim=(8, 16, 32, 64), depth=(1, 1, 1, 1), window_size=2, num_classes=5),
        "levit": LeViT(image_size=64, num_classes=5, stages=2, dim=(16, 32), depth=1, heads=(2, 2), mlp_mult=2),
        "max": MaxViT(num_classes=5, dim=16, depth=(1, 1), dim_head=8, window_size=4),
    }
    return {name: _computed(model, images) for name, model in models.items()}


def other_shapes():
    compact = CCT(
        img_size=32,
        embedding_dim=32,
        n_conv_layers=2,
        num_layers=1,
        num_heads=2,
        num_classes=5,
        kernel_size=3,
        mlp_ratio=2.0,
        stochastic_depth=0.0,
    )
    pair = CrossViT(
        image_size=32,
        num_classes=5,
        depth=1,
        sm_dim=16,
        sm_patch_size=4,
        sm_enc_depth=1,
        sm_enc_heads=2,
        sm_enc_mlp_dim=32,
        lg_dim=24,
        lg_patch_size=8,
        lg_enc_depth=1,
        lg_enc_heads=2,
        lg_enc_mlp_dim=48,
    )
    packed = NaViT(patch_size=8, mlp_dim=64, **_SIZES)
    of_sizes = [[normal(3, 32, 16), normal(3, 16, 16)], [normal(3, 24, 32)]]
    return {
        "compact": _computed(compact, normal(2, 3, 32, 32)),
        "pair": _computed(pair, normal(2, 3, 32, 32)),
        "packed": _computed(packed, of_sizes),
    }


def wrappers():
    model = fill(ViT(patch_size=8, mlp_dim=64, **_SIZES)).eval()
    scores, attention = Recorder(model)(normal(2, 3, 32, 32))
    teacher = fill(ViT(patch_size=16, mlp_dim=16, **{**_SIZES, "dim": 8})).eval()
    student = fill(DistillableViT(patch_size=8, mlp_dim=64, **_SIZES)).eval()
    distiller = fill(DistillWrapper(student=student, teacher=teacher, temperature=3, alpha=0.5)).eval()
    loss = distiller(normal(2, 3, 32, 32), torch.tensor([1, 4]))
    loss.backward()
    _, embeddings = Extractor(fill(ViT(patch_size=8, mlp_dim=64, **_SIZES)).eval())(normal(2, 3, 32, 32))
    return {"scores": scores, "attention": attention, "loss": loss, "embeddings": embeddings} | gradients(student)
