"""Stable-Baselines3: policies that learn in environments."""

import tempfile
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

from tools.ecosystem.cases import fill, normal

# The actions of a policy determine its next observations, so that rounding differences grow.
TOLERANCE = 1e-3


def _updates(kind, environment, **options):
    """Return the weights of a policy after gradient steps on experience that is the same on both frameworks."""
    model = kind("MlpPolicy", environment, seed=0, device="cpu", **options)
    fill(model.policy)
    if hasattr(model.policy, "actor_target"):
        model.policy.actor_target.load_state_dict(model.policy.actor.state_dict())
        model.policy.critic_target.load_state_dict(model.policy.critic.state_dict())
    model.set_logger(_silence())
    space, random = model.observation_space.shape, np.random.default_rng(0)
    for step in range(64):
        seen, after = random.standard_normal((2, 1, *space), dtype=np.float32)
        action = random.integers(0, 2, (1, 1)) if kind is DQN else random.uniform(-1, 1, (1, 1))
        model.replay_buffer.add(seen, after, action, np.array([seen.sum()]), np.array([step % 9 == 8]), [{}])
    np.random.seed(0)
    model.train(gradient_steps=4, batch_size=16)
    return {name: value for name, value in model.policy.state_dict().items() if "target" not in name}


def _silence():
    from stable_baselines3.common.logger import Logger

    return Logger(folder=None, output_formats=[])


def steps_from_shared_experience():
    return {
        "dqn": _updates(DQN, "CartPole-v1", target_update_interval=2),
        "ddpg": _updates(DDPG, "Pendulum-v1", tau=0.1),
    }


class _Losses(BaseCallback):
    def __init__(self):
        super().__init__()
        self.finite = []

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        buffer = self.model.rollout_buffer
        self.finite.append(bool(np.isfinite(buffer.advantages).all()))


def _learn(kind, environment, steps, **options):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind("MlpPolicy", environment, seed=0, device="cpu", policy_kwargs={"net_arch": [16]}, **options)
        before = [parameter.detach().clone() for parameter in model.policy.parameters()]
        model.learn(steps)
        path = Path(folder, "model")
        model.save(path)
        loaded = kind.load(path, device="cpu")
        seen = normal(*model.observation_space.shape).numpy()
        return {
            "steps": model.num_timesteps,
            "updated": any(not torch.equal(a, b) for a, b in zip(before, model.policy.parameters(), strict=True)),
            "loaded": np.array_equal(
                loaded.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0]
            ),
        }


def learning_on_policy():
    return {
        "ppo": _learn(PPO, "CartPole-v1", 128, n_steps=64, batch_size=32, n_epochs=2),
        "a2c": _learn(A2C, "CartPole-v1", 60, use_rms_prop=True),
    }


def learning_off_policy():
    options = {"learning_starts": 20, "batch_size": 16, "buffer_size": 200}
    return {
        "dqn": _learn(DQN, "CartPole-v1", 80, **options),
        "sac": _learn(SAC, "Pendulum-v1", 40, **options),
        "td3": _learn(TD3, "Pendulum-v1", 40, **options),
    }


def policies():
    model = PPO("MlpPolicy", "CartPole-v1", device="cpu", seed=0)
    policy = fill(model.policy)
    values, log_probabilities, entropy = policy.evaluate_actions(normal(5, 4), torch.tensor([0, 1, 1, 0, 1]))
    (values.sum() + log_probabilities.sum() + entropy.sum()).backward()
    gradients = {name: parameter.grad for name, parameter in policy.named_parameters()}
    continuous = fill(A2C("MlpPolicy", "Pendulum-v1", device="cpu", seed=0, use_sde=False).policy)
    return {
        "values": values,
        "log": log_probabilities,
        "gradients": gradients,
        "chosen": policy.predict(normal(7, 4).numpy(), deterministic=True)[0],
        "continuous": continuous.predict(normal(7, 3).numpy(), deterministic=True)[0],
        "evaluated": continuous.evaluate_actions(normal(4, 3), normal(4, 1, seed=1)),
    }


def environments_and_callbacks():
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        environment = VecNormalize(make_vec_env("CartPole-v1", n_envs=2, seed=0))
        model = PPO("MlpPolicy", environment, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu")
        fill(model.policy)
        mine = _Losses()
        test = VecNormalize(make_vec_env("CartPole-v1", seed=1), training=False)
        callbacks = [mine, CheckpointCallback(32, folder), EvalCallback(test, eval_freq=40, verbose=0)]
        model.learn(128, callback=callbacks)
        fill(model.policy)
        mean, deviation = evaluate_policy(model, make_vec_env("CartPole-v1", seed=2), 3)
        return {
            "finite": mine.finite,
            "files": sorted(path.name for path in Path(folder).iterdir()),
            "rewards": [float(mean), float(deviation)],
        }


def images():
    space = gymnasium.spaces.Box(0, 255, (3, 36, 36), np.uint8)
    from stable_baselines3.common.policies import ActorCriticCnnPolicy

    policy = fill(ActorCriticCnnPolicy(space, gymnasium.spaces.Discrete(4), lambda _: 1e-3))
    pictures = (255 * normal(2, 3, 36, 36).sigmoid()).to(torch.uint8)
    values, log_probabilities, _ = policy.evaluate_actions(pictures, torch.tensor([1, 3]))
    (values.sum() + log_probabilities.sum()).backward()
    return {"values": values, "log": log_probabilities, "first": policy.features_extractor.cnn[0].weight.grad}
