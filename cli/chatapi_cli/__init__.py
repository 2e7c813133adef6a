"""The `chatapi` command, for operators and for those who verify a certificate."""
