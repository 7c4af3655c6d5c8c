"""RoMa: rotations as matrices, vectors and quaternions, and their derivatives."""

import roma
import torch

from tools.ecosystem.cases import normal

TOLERANCE = 1e-3


def conversions():
    vectors = normal(5, 3)
    quaternions = roma.rotvec_to_unitquat(vectors)
    matrices = roma.rotvec_to_rotmat(vectors)
    return {
        "quaternions": quaternions,
        "matrices": matrices,
        "back": roma.rotmat_to_rotvec(matrices),
        "of_matrices": roma.rotmat_to_unitquat(matrices),
        "euler": roma.rotmat_to_euler("xyz", matrices),
        "of_euler": roma.euler_to_rotmat("ZYX", normal(4, 3), degrees=True),
        "orthonormal": roma.is_rotation_matrix(matrices, 1e-4),
    }


def projections():
    matrices = normal(4, 3, 3).requires_grad_()
    rotations = roma.special_procrustes(matrices)
    (rotations * normal(4, 3, 3, seed=1)).sum().backward()
    return {
        "procrustes": rotations,
        "gradient": matrices.grad,
        "gram_schmidt": roma.special_gramschmidt(normal(4, 3, 3)),
        "naive": roma.procrustes_naive(normal(4, 3, 3)),
        "point": roma.symmatrixvec_to_unitquat(normal(3, 10)).abs(),
    }


def registrations():
    source = normal(20, 3)
    rotation = roma.rotvec_to_rotmat(torch.tensor([0.3, -0.2, 0.9]))
    target = source @ rotation.T + torch.tensor([1.0, 2.0, 3.0])
    found, translation = roma.rigid_points_registration(source, target)
    rigid = roma.Rigid(found, translation)
    return {
        "rotation": found,
        "translation": translation,
        "applied": (rigid @ rigid).apply(source[0]),
        "inverse": rigid.inverse().to_homogeneous(),
        "distance": roma.rotmat_geodesic_distance(found, torch.eye(3)),
    }


def quaternions():
    first, second = (roma.quat_normalize(normal(4, 4, seed=seed)) for seed in (0, 1))
    return {
        "product": roma.quat_product(first, second),
        "action": roma.quat_action(first, normal(4, 3)),
        "slerp": roma.unitquat_slerp(first, second, torch.linspace(0, 1, 5)),
        "composed": roma.rotvec_composition([normal(4, 3), normal(4, 3, seed=1)]),
    }
