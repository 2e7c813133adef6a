"""ChatAPI's shared truth: errors, settings, catalogue, keys, limits, vault, store, ledger. No HTTP in here."""
