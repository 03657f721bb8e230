"""A stand-in for Telegram's data centres, so that a proxy can be tried with no internet.

It speaks the obfuscated transport and answers the first request of a client, which proves that a
proxy passed its bytes. It has no keys, no accounts and no messages.
"""

NOTICE = "this is the stackctl lab data centre, not Telegram"
