"""Handshakes as a client makes them: with the proxy of any link, and with a running stack."""
