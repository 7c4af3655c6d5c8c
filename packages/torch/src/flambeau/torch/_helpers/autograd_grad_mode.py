"""Names of ``torch.autograd.grad_mode`` that PyTorch imports from other modules."""

from flambeau.utils._contextlib import _DecoratorContextManager, _NoParamDecoratorContextManager

__all__ = ["_DecoratorContextManager", "_NoParamDecoratorContextManager"]
