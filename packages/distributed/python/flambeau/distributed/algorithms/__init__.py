"""Parts of data-parallel training: hooks for the communication of gradients, and uneven numbers of inputs."""
