"""What data-parallel training is made of: hooks for the communication of gradients, and processes with fewer inputs."""
