"""The nouns: frozen, typed, standard library only. Money is Decimal, time is aware UTC, words are enums."""
