"""The command line: parser, messages, signals, and below `commands` one file a command."""
