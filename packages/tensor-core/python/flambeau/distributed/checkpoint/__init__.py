"""States that several processes save together. Programs import the names of its files; nothing writes them."""
