"""The command line ``apollo-train``: one module per family of commands, each imported when it is asked for."""
