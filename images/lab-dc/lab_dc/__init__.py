"""A stand-in for Telegram's data centres, so that a proxy can be tried with no internet.

It speaks the obfuscated transport and answers a client's first request, which proves that the proxy
passed the bytes on. It has no keys, no accounts and no messages.
"""

NOTICE = "this is the stackctl lab data centre, not Telegram"
