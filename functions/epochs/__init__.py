"""The monthly turn of the epoch (docs/vault.md, "The schedule"): three functions, each with one of the powers it takes.

    begin    makes a KMS key and moves the alias to it; sees no wrap
    move     reads the Vault and has KMS re-encrypt; can open nothing, and neither make nor end a key
    retire   disables old epochs and schedules their deletion; reads no table

None of them answers the internet, and only the state machine may call them.
"""
