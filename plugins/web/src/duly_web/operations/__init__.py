"""Acts on many messages: written down in the store, carried out by whoever holds the note."""
