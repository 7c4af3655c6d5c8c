"""Records of the tests that ran in each session, and a check that every test ran in at least one session."""
