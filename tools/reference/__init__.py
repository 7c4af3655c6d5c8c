"""The reference: a page for each module, made of what the registry says."""
