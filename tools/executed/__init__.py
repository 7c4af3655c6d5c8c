"""Records of which tests ran in which session, and the check that each ran in one."""
