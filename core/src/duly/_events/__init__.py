"""Events with a type: codecs, how they are found, and ids made of payloads."""
