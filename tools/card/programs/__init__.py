"""Programs that run as steps, with the interpreter that has flambeau."""
