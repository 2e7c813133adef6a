"""Model providers: one port (:mod:`chat.providers.base`), its adapters, and a scripted fake."""
