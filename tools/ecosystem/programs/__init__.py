"""A program for each library; its public functions are the cases."""
